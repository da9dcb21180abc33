/** The rules of the house that no compiler checks: layers, texts in both languages, one door for each thing. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

import en from './messages/en.json';
import zh from './messages/zh.json';

const HERE = dirname(fileURLToPath(import.meta.url));
/** A folder may use itself and folders of lower rows; `chart` and `ui` do not know each other. */
const ROWS: Record<string, number> = {
  messages: 0,
  domain: 1,
  api: 2,
  state: 3,
  ui: 4,
  chart: 4,
  components: 5,
  pages: 6,
};
const MOST_LINES = 400;

interface Source {
  path: string;
  text: string;
}

const sources: Source[] = readdirSync(HERE, { recursive: true, encoding: 'utf8' })
  .filter((name) => /\.(?:ts|svelte)$/.test(name) && !name.endsWith('.d.ts'))
  .map((path) => ({ path, text: readFileSync(join(HERE, path), 'utf8') }));
const shipped = sources.filter(({ path }) => !path.endsWith('.test.ts'));

function folderOf(path: string): string {
  return path.includes('/') ? (path.split('/')[0] ?? '') : '';
}

function breach({ path, text }: Source): string[] {
  const from = folderOf(path);
  if (from === '') return [];
  const imports = [...text.matchAll(/(?:from|import\()\s*'(\.[^']+)'/g)];
  return imports.flatMap(([, target = '']) => {
    const to = folderOf(relative(HERE, join(HERE, dirname(path), target)));
    // `routes.ts` stands at the root and may be used by all above the domain.
    const allowed =
      to === ''
        ? target.endsWith('/routes.ts')
        : to === from || (ROWS[to] ?? 9) < (ROWS[from] ?? 0);
    return allowed ? [] : [`${path} uses ${target}`];
  });
}

test('the sources are found', () => {
  expect(shipped.length).toBeGreaterThan(40);
});

test('imports go only to lower rows', () => {
  expect(shipped.flatMap(breach)).toEqual([]);
  expect(breach({ path: 'domain/x.ts', text: "from '../state/y.ts'" })).toHaveLength(1);
  expect(breach({ path: 'ui/x.ts', text: "from '../chart/y.ts'" })).toHaveLength(1);
});

test('each thing has one door', () => {
  const using = (pattern: RegExp): string[] =>
    shipped.filter(({ text }) => pattern.test(text)).map(({ path }) => path);
  expect(using(/\bnew uPlot\(/)).toEqual(['chart/attach.ts']);
  expect(using(/\bfetch\(/)).toEqual(['api/client.ts']);
  expect(using(/\bIntl\.(?:Number|DateTime)Format|\.toFixed\(|toLocaleString/)).toEqual([
    'domain/recent.ts',
    'domain/units.ts',
  ]);
  expect(using(/\$effect\(/).sort()).toEqual([
    'chart/Chart.svelte',
    'state/explore-run.svelte.ts',
    'state/host-charts.svelte.ts',
    'state/host-reading.svelte.ts',
    'state/services.svelte.ts',
  ]);
  expect(using(/\bnew EditorView\(/)).toEqual(['components/explore/promql-editor.ts']);
  expect(using(/href="\//)).toEqual([]);
});

test('files stay small and components smaller', () => {
  const long = sources.filter(({ text }) => text.split('\n').length > MOST_LINES);
  expect(long.map(({ path }) => path)).toEqual([]);
  const markup = shipped.filter(({ path, text }) => {
    const withoutStyle = text.replace(/<style>[\s\S]*<\/style>/, '');
    return path.endsWith('.svelte') && withoutStyle.split('\n').length > 150;
  });
  expect(markup.map(({ path }) => path)).toEqual([]);
});

test('every file says what it is', () => {
  const silent = sources.filter(({ text }) => !/^(?:\/\*\*|<!--)/.test(text));
  expect(silent.map(({ path }) => path)).toEqual([]);
});

test('no colour stands outside the tokens, and no style attribute is written in markup', () => {
  const offenders = shipped.filter(({ path, text }) => {
    const styles = /<style>([\s\S]*)<\/style>/.exec(text)?.[1] ?? '';
    return (
      /#[0-9a-f]{3,8}\b|rgba?\(/i.test(styles) ||
      (path.endsWith('.svelte') && /\sstyle="/.test(text))
    );
  });
  expect(offenders.map(({ path }) => path)).toEqual([]);
});

test('both languages say the same things', () => {
  expect(Object.keys(zh)).toEqual(Object.keys(en));
  const gaps = (message: unknown): string[] =>
    [...new Set(JSON.stringify(message).match(/\{\w+\}/g) ?? [])].sort();
  const forms = (message: unknown): unknown =>
    typeof message === 'object' && message !== null && 'other' in message ? message.other : message;
  for (const key of Object.keys(en) as (keyof typeof en)[]) {
    expect([key, gaps(forms(zh[key]))]).toEqual([key, gaps(forms(en[key]))]);
  }
});

test('every text is used', () => {
  const all = shipped.map(({ text }) => text).join('\n');
  expect(Object.keys(en).filter((key) => !all.includes(`'${key}'`))).toEqual([]);
});

test('the script before the first paint knows the keys of theme and language', () => {
  const first = readFileSync(join(HERE, '../public/first-paint.js'), 'utf8');
  const keys = shipped.flatMap(({ text }) =>
    [...text.matchAll(/_KEY = '([^']+)'/g)].map(([, key]) => key),
  );
  expect(keys.sort()).toEqual(['muster.language', 'muster.theme']);
  for (const key of keys) expect(first).toContain(`'${key}'`);
});
