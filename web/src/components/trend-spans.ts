/** How far back the trend of a file system reaches. */
import type { MessageKey } from '../domain/messages.ts';

const DAY_MS = 86_400_000;

export interface TrendSpan {
  id: '24h' | '7d' | '30d' | '90d';
  span_ms: number;
  text: MessageKey;
}

export const TREND_SPANS: readonly TrendSpan[] = [
  { id: '24h', span_ms: DAY_MS, text: 'range.24h' },
  { id: '7d', span_ms: 7 * DAY_MS, text: 'range.7d' },
  { id: '30d', span_ms: 30 * DAY_MS, text: 'range.30d' },
  { id: '90d', span_ms: 90 * DAY_MS, text: 'range.90d' },
];

/** The span of an address; a week where it names none. */
export function readTrendSpan(id: string | null): TrendSpan {
  return TREND_SPANS.find((span) => span.id === id) ?? (TREND_SPANS[1] as TrendSpan);
}
