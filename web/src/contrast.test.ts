/** Text must be readable in both themes: WCAG AA, 4.5 to 1, computed from `tokens.css` itself. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const CSS = readFileSync(new URL('./tokens.css', import.meta.url), 'utf8');
const LEAST = 4.5;
const LEAST_OF_LINES = 3;

type Theme = 0 | 1;

/** A token's colour as red, green and blue from 0 to 255. */
function token(name: string, theme: Theme): number[] {
  const found = new RegExp(`--${name}: light-dark\\(([^;]+)\\);`).exec(CSS)?.[1];
  if (found === undefined) throw new Error(`tokens.css has no --${name} for two themes`);
  const colors = found.match(/#[0-9a-f]{6}|rgb\([^)]+\)/g) ?? [];
  const text = colors[theme] ?? '';
  if (text.startsWith('#')) {
    return [1, 3, 5].map((start) => Number.parseInt(text.slice(start, start + 2), 16));
  }
  return (text.match(/\d+/g) ?? []).map(Number);
}

/** Relative luminance, as WCAG 2.1 defines it. */
function luminance(color: number[]): number {
  const [red = 0, green = 0, blue = 0] = color.map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(one: string, other: string, theme: Theme): number {
  const [low = 0, high = 0] = [one, other]
    .map((name) => luminance(token(name, theme)))
    .sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

const TEXTS = ['ink', 'ink-soft', 'ink-faint', 'warning', 'critical', 'info'];
const GROUNDS = ['ground', 'surface', 'surface-raised'];
const PAIRS = TEXTS.flatMap((text) => GROUNDS.map((ground) => [text, ground] as const));

test.each([
  ...PAIRS,
  ...['call', 'word', 'label', 'text', 'number'].map(
    (part) => [`code-${part}`, 'surface'] as const,
  ),
  ['ink', 'hover'],
  ['ink-soft', 'hover'],
  ['ink-inverse', 'ink'],
  ['warning', 'warning-soft'],
  ['critical', 'critical-soft'],
] as const)('%s can be read on %s', (text, ground) => {
  expect(contrast(text, ground, 0), 'light').toBeGreaterThanOrEqual(LEAST);
  expect(contrast(text, ground, 1), 'dark').toBeGreaterThanOrEqual(LEAST);
});

test('lines of charts can be seen', () => {
  for (let place = 1; place <= 8; place += 1) {
    for (const theme of [0, 1] as const) {
      const seen = contrast(`series-${place}`, 'surface', theme);
      expect(seen, `series-${place}, theme ${theme}`).toBeGreaterThanOrEqual(LEAST_OF_LINES);
    }
  }
});
