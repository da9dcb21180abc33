/** The way of a line to the value that it will reach, with the range of when: what a chart draws ahead of it. */
import { fullMs, type FileSystemFacts } from './file-systems.ts';
import type { Line } from './lines.ts';

export interface Foreseen {
  from_ms: number;
  from: number;
  to: number;
  early_ms: number;
  at_ms: number;
  /** Null where the range has no end. */
  late_ms: number | null;
}

/** The way of what is used to the full size, for the chart that shows it; null where no date is told. */
export function wayToFull(
  system: FileSystemFacts & { growth: { early_ms: number | null; late_ms: number | null } },
  used: Line | undefined,
): Foreseen | null {
  const at_ms = fullMs(system);
  const { early_ms, late_ms } = system.growth;
  const from_ms = used?.times_ms.at(-1);
  const from = used?.values.at(-1);
  if (at_ms === null || system.available_bytes === null) return null;
  if (from_ms === undefined || from === undefined || from === null) return null;
  const to = from + system.available_bytes;
  return { from_ms, from, to, early_ms: early_ms ?? at_ms, at_ms, late_ms };
}

/** How far a chart of `span_ms` looks ahead to show it: to the end of its range, half the span at most. */
export function aheadMs(foreseen: Foreseen | null, now_ms: number, span_ms: number): number {
  if (foreseen === null) return 0;
  const end_ms = (foreseen.late_ms ?? 2 * foreseen.at_ms - now_ms) - now_ms;
  return Math.min(Math.max(end_ms * 1.05, 0), span_ms / 2);
}
