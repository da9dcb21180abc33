/** Dark, light, or what the system says. `public/first-paint.js` applies it before the first paint. */
import { readStored, writeStored } from './stored.ts';

export const THEMES = ['system', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];

export const THEME_KEY = 'muster.theme';

class ThemeState {
  #chosen = $state<Theme>(readStored(THEME_KEY, ['light', 'dark'] as const) ?? 'system');
  #system_dark = $state(false);

  constructor() {
    const dark = matchMedia('(prefers-color-scheme: dark)');
    this.#system_dark = dark.matches;
    dark.addEventListener('change', () => {
      this.#system_dark = dark.matches;
    });
  }

  get chosen(): Theme {
    return this.#chosen;
  }

  /** Whether the page is dark now, whoever decided it. */
  get dark(): boolean {
    return this.#chosen === 'dark' || (this.#chosen === 'system' && this.#system_dark);
  }

  choose(theme: Theme): void {
    this.#chosen = theme;
    writeStored(THEME_KEY, theme === 'system' ? null : theme);
    if (theme === 'system') delete document.documentElement.dataset['theme'];
    else document.documentElement.dataset['theme'] = theme;
  }

  /** What a click on the switch leads to: from what is seen now to its opposite. */
  toggle(): void {
    this.choose(this.dark ? 'light' : 'dark');
  }
}

export const theme = new ThemeState();
