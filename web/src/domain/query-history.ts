/** The queries that were run in this browser, newest first; starred ones stay. */

export interface PastQuery {
  expression: string;
  at_ms: number;
  starred: boolean;
}

/** How many queries without a star are kept. */
export const MOST_KEPT = 50;

/** The history with queries that were run now at its front, each once. */
export function remembered(
  history: readonly PastQuery[],
  expressions: readonly string[],
  at_ms: number,
): PastQuery[] {
  const fresh = [...new Set(expressions)].filter((expression) => expression.trim() !== '');
  const starred = new Set(history.filter((past) => past.starred).map((past) => past.expression));
  const all = [
    ...fresh.map((expression) => ({ expression, at_ms, starred: starred.has(expression) })),
    ...history.filter(({ expression }) => !fresh.includes(expression)),
  ];
  let plain = 0;
  return all.filter((past) => past.starred || (plain += 1) <= MOST_KEPT);
}

/** The history with one query's star set or taken away. */
export function withStar(
  history: readonly PastQuery[],
  expression: string,
  starred: boolean,
): PastQuery[] {
  return history.map((past) => (past.expression === expression ? { ...past, starred } : past));
}

/** The queries that have every word typed; starred ones first. */
export function searched(history: readonly PastQuery[], typed: string): PastQuery[] {
  const words = typed.toLowerCase().split(/\s+/);
  const found = history.filter(({ expression }) =>
    words.every((word) => expression.toLowerCase().includes(word)),
  );
  return [...found.filter(({ starred }) => starred), ...found.filter(({ starred }) => !starred)];
}

function isPast(value: unknown): value is PastQuery {
  if (typeof value !== 'object' || value === null) return false;
  const { expression, at_ms, starred } = value as Record<string, unknown>;
  return (
    typeof expression === 'string' && typeof at_ms === 'number' && typeof starred === 'boolean'
  );
}

/** Reads what the browser kept; what makes no sense is left out. */
export function historyFrom(text: string | null): PastQuery[] {
  try {
    const value: unknown = JSON.parse(text ?? '[]');
    return Array.isArray(value) ? value.filter(isPast) : [];
  } catch {
    return [];
  }
}
