/**
 * Texts in both languages. The English file names the keys; a text may have gaps (`{host}`) and,
 * where it counts, forms for one and for other numbers of `count`.
 */
import en from '../messages/en.json';
import zh from '../messages/zh.json';
import type { Language } from './units.ts';

export type MessageKey = keyof typeof en;
export type Gaps = Record<string, string | number>;

type Message = string | { one?: string; other: string };

const MESSAGES: Record<Language, Record<MessageKey, Message>> = { en, zh };

function form(message: Message, gaps: Gaps): string {
  if (typeof message === 'string') return message;
  return gaps['count'] === 1 ? (message.one ?? message.other) : message.other;
}

/** The text of a key with its gaps filled; a gap without a value keeps its name, to be noticed. */
export function messageText(language: Language, key: MessageKey, gaps: Gaps = {}): string {
  return form(MESSAGES[language][key], gaps).replace(/\{(\w+)\}/g, (gap, name: string) =>
    name in gaps ? String(gaps[name]) : gap,
  );
}

/** The page's language that stands first in a browser's list. */
export function languageOf(wanted: readonly string[]): Language {
  for (const name of wanted) {
    if (/^zh\b/i.test(name)) return 'zh';
    if (/^en\b/i.test(name)) return 'en';
  }
  return 'en';
}
