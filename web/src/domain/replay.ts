/**
 * What a replay is drawn over: the worst value of a rule's expression, and the number it is compared with.
 * A fleet has too many series for one chart; whether a rule fires, its worst one decides.
 */

export interface Judged {
  /** One line: the worst of all series at each moment. */
  expression: string;
  /** Null where the rule is no plain comparison with a number. */
  threshold: number | null;
}

/** The worst of all series of an expression. */
export function worstOf(expression: string, below: boolean): string {
  return `${below ? 'min' : 'max'}(${expression})`;
}

/** Words whose operands are whole comparisons: a comparison beside one is only a part of the rule. */
const SET_WORD = /\b(?:and|or|unless)\b/i;
const LAST_COMPARISON =
  /^([^]*?[^<>=!])\s*(>=|<=|>|<)\s*(-?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*$/i;

/** What stands outside of brackets and quotes; the rest is blanked, so that places stay. */
function outermost(expression: string): string {
  const closes: Record<string, string> = { '(': ')', '[': ']', '{': '}' };
  const open: string[] = [];
  let quote = '';
  let told = '';
  for (let place = 0; place < expression.length; place += 1) {
    const sign = expression[place] ?? '';
    const bare = quote === '' && open.length === 0;
    if (quote !== '') {
      if (sign === '\\' && quote !== '`') {
        place += 1;
        told += ' ';
      } else if (sign === quote) quote = '';
    } else if (sign === '"' || sign === "'" || sign === '`') quote = sign;
    else if (closes[sign] !== undefined) open.push(closes[sign]);
    else if (sign === open.at(-1)) open.pop();
    told += bare && quote === '' && open.length === 0 ? sign : ' ';
  }
  return told;
}

/** A rule's expression as its value and the number that it is compared with. */
export function judgedBy(expression: string): Judged {
  const [, value = '', sign = '', threshold = ''] = LAST_COMPARISON.exec(expression) ?? [];
  const plain = value !== '' && !/[<>=!]=?/.test(outermost(value));
  if (!plain || SET_WORD.test(outermost(value)) || outermost(expression).length === 0) {
    return { expression: worstOf(expression, false), threshold: null };
  }
  return { expression: worstOf(value.trim(), sign.startsWith('<')), threshold: Number(threshold) };
}

function unquoted(text: string): string {
  const [, mark = '', inner = ''] = /^(['"])(.*)\1$/.exec(text) ?? [];
  if (mark === "'") return inner.replaceAll("''", "'");
  return mark === '"' ? inner.replaceAll(/\\(["\\])/g, '$1') : text;
}

const indentOf = (line: string): number => line.length - line.trimStart().length;

/**
 * The expression of the first alert in a text of rules, or null: read line by line, as people and tools
 * write such files. What else YAML allows has no chart; the replay itself the server reads.
 */
export function firstAlert(yaml: string): string | null {
  const lines = yaml.split('\n');
  const start = lines.findIndex((line) => /^\s*-?\s*alert:/.test(line));
  if (start < 0) return null;
  const key = (lines[start] ?? '').indexOf('alert:');
  let from = start;
  while (from > 0 && !(lines[from] ?? '').slice(0, key).includes('-')) from -= 1;
  for (let place = from; place < lines.length; place += 1) {
    const line = lines[place] ?? '';
    if (place > start && line.trim() !== '' && indentOf(line) < key) return null;
    const [, before = '', told = ''] = /^(\s*(?:-\s+)?)expr:\s*(.*)$/.exec(line) ?? [];
    if (before.length !== key || told === '') continue;
    if (!/^[|>][+-]?$/.test(told.trim())) return unquoted(told.replace(/\s#.*$/, '').trim());
    const after = lines.slice(place + 1);
    const end = after.findIndex((next) => next.trim() !== '' && indentOf(next) <= key);
    const block = end < 0 ? after : after.slice(0, end);
    return block
      .map((next) => next.trim())
      .join(' ')
      .trim();
  }
  return null;
}
