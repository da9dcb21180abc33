/** The audit log as the page reads it: what is looked for, and what a deed changed. */

/** Which deeds are wanted; an empty text means all, a null time since ever. */
export interface AuditFilter {
  actor: string;
  /** A deed such as `user.create`, or a kind such as `user`. */
  action: string;
  target: string;
  from_ms: number | null;
}

/** How far back one may look, by the word in the address; null is since ever. */
export const AUDIT_SPANS = {
  all: null,
  day: 86_400_000,
  week: 7 * 86_400_000,
  month: 30 * 86_400_000,
} as const;
export type AuditSpan = keyof typeof AUDIT_SPANS;

/** The span that an address names, or all. */
export function readSpan(text: string | null): AuditSpan {
  return text !== null && Object.hasOwn(AUDIT_SPANS, text) ? (text as AuditSpan) : 'all';
}

/** A field that a deed changed, made (no text before) or took away (none after). */
export interface Change {
  field: string;
  before: string | null;
  after: string | null;
}

type Fields = Record<string, unknown> | null | undefined;

function fieldText(fields: Fields, name: string): string | null {
  const value = fields?.[name];
  if (value === undefined || value === null) return null;
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** What differs between before and after, in the order of the fields. */
export function changesOf(before: Fields, after: Fields): Change[] {
  const names = new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})]);
  return [...names]
    .map((field) => ({
      field,
      before: fieldText(before, field),
      after: fieldText(after, field),
    }))
    .filter((change) => change.before !== change.after);
}
