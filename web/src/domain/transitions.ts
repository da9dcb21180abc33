/** The log of a service, told by its samples: from which state into which, when, and how it ended. */
import { lookOf, LOOKS } from './services.ts';

/** The samples of one value of a label: of a state, or of a result. */
export interface Told {
  value: string;
  points: readonly (readonly [time_ms: number, value: number])[];
}

export interface Transition {
  at_ms: number;
  /** Null where the state before is not known. */
  from: string | null;
  to: string;
  /** Systemd's word for how it ended, where it did. */
  result: string | null;
  /** How often it was restarted since the transition before, as far as that is told. */
  restarts: number;
}

/** Which value holds from when on. Where several hold at once, the worst does. */
function courseOf(
  told: readonly Told[],
  rank: (value: string) => number,
): { at_ms: number; value: string }[] {
  const at = new Map<number, string>();
  for (const { value, points } of told) {
    for (const [time_ms, holds] of points) {
      if (holds <= 0) continue;
      const known = at.get(time_ms);
      if (known === undefined || rank(value) < rank(known)) at.set(time_ms, value);
    }
  }
  const course: { at_ms: number; value: string }[] = [];
  for (const [at_ms, value] of [...at].sort(([one], [other]) => one - other)) {
    if (course.at(-1)?.value !== value) course.push({ at_ms, value });
  }
  return course;
}

/** Systemd's word for an end without fault. */
const SUCCESS = 'success';

/** The fault that holds at a moment, or comes right after it: what tells of an end may come with the next sample. */
function faultAt(
  course: readonly { at_ms: number; value: string }[],
  at_ms: number,
  patience_ms: number,
): string | null {
  const now = course.findLast((entry) => entry.at_ms <= at_ms);
  if (now !== undefined && now.value !== SUCCESS) return now.value;
  const soon = course.find((entry) => entry.at_ms > at_ms && entry.at_ms <= at_ms + patience_ms);
  return soon === undefined || soon.value === SUCCESS ? null : soon.value;
}

function increase(
  points: readonly (readonly [number, number])[],
  from_ms: number,
  to_ms: number,
): number {
  let sum = 0;
  for (const [index, [time_ms, value]] of points.entries()) {
    const before = points[index - 1]?.[1];
    if (before === undefined || time_ms <= from_ms || time_ms > to_ms) continue;
    sum += value >= before ? value - before : value;
  }
  return Math.round(sum);
}

/** The result of an end comes at most this long after it. */
const PATIENCE_MS = 40_000;

/** The transitions that the samples of states, results and restarts tell, the newest first. */
export function transitionsOf(
  states: readonly Told[],
  results: readonly Told[],
  restarts: readonly (readonly [number, number])[],
): Transition[] {
  const rank = (state: string): number => LOOKS.indexOf(lookOf(state));
  const course = courseOf(states, rank);
  const ends = courseOf(results, (result) => (result === SUCCESS ? 1 : 0));
  return course
    .map(({ at_ms, value }, index): Transition => {
      const before = course[index - 1];
      const ended = rank(value) < LOOKS.indexOf('inactive');
      const result = ended ? faultAt(ends, at_ms, PATIENCE_MS) : null;
      return {
        at_ms,
        from: before?.value ?? null,
        to: value,
        result,
        restarts: before === undefined ? 0 : increase(restarts, before.at_ms, at_ms),
      };
    })
    .slice(1)
    .reverse();
}
