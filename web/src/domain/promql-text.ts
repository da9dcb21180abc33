/** How names and values are written in PromQL. */

/** A name that stands in an expression without quotes. */
const METRIC_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

/** PromQL text of a label value. */
export function quoted(value: string): string {
  return `"${value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')}"`;
}

/** Whether a metric's name needs no quotes; one that does stands inside the braces. */
export function isPlainMetric(name: string): boolean {
  return METRIC_NAME.test(name);
}

/** A label's name, in quotes where it needs them. */
export function labelText(name: string): string {
  return LABEL_NAME.test(name) ? name : quoted(name);
}

const REGEX_SIGNS = /[\\.+*?()|[\]{}^$]/g;

/** A regular expression that matches any of these texts and nothing else. */
export function alternation(values: readonly string[]): string {
  return values.map((value) => value.replace(REGEX_SIGNS, '\\$&')).join('|');
}

/** The texts of which a regular expression is the plain alternation; null where it says more. */
export function alternatives(regex: string): string[] | null {
  const literals = [''];
  for (const [piece] of regex.matchAll(/\\.|[^\\]|\\$/gsu)) {
    const escaped = piece.length > 1 && piece.startsWith('\\') ? piece.slice(1) : null;
    const sign = /[\\.+*?()|[\]{}^$]/.test(escaped ?? piece);
    // A sign stands for itself only after a backslash, and a backslash only before a sign.
    if (escaped === null && piece === '|') literals.push('');
    else if (sign !== (escaped !== null)) return null;
    else literals.push(`${literals.pop() ?? ''}${escaped ?? piece}`);
  }
  return literals;
}

/** What a quoted text of PromQL says; null for escapes that are none of the plain ones. */
export function unquoted(text: string): string | null {
  const inner = text.slice(1, -1);
  if (text.startsWith('`')) return inner;
  const PLAIN: Record<string, string> = { n: '\n', t: '\t', r: '\r' };
  let refused = false;
  const value = inner.replace(/\\(.)/gs, (_, sign: string) => {
    if (sign === '\\' || sign === '"' || sign === "'") return sign;
    refused ||= !(sign in PLAIN);
    return PLAIN[sign] ?? '';
  });
  return refused ? null : value;
}
