/** The language of the page, and `t`, through which every text of it is read. */
import { languageOf, messageText, type Gaps, type MessageKey } from '../domain/messages.ts';
import type { Language } from '../domain/units.ts';
import { readStored, writeStored } from './stored.ts';

export const LANGUAGES: readonly { id: Language; name: string }[] = [
  { id: 'en', name: 'English' },
  { id: 'zh', name: '中文' },
];

export const LANGUAGE_KEY = 'muster.language';

class LanguageState {
  #current = $state<Language>(
    readStored(LANGUAGE_KEY, ['en', 'zh'] as const) ?? languageOf(navigator.languages),
  );

  get current(): Language {
    return this.#current;
  }

  choose(language: Language): void {
    this.#current = language;
    writeStored(LANGUAGE_KEY, language);
    document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en';
  }
}

export const language = new LanguageState();

/** The text of a key in the language of the page. */
export function t(key: MessageKey, gaps: Gaps = {}): string {
  return messageText(language.current, key, gaps);
}
