/**
 * Puts the lines of a chart on one time axis. Where a line has no point at a moment that another
 * has, it is drawn on; where it was silent for longer than a gap, it is broken; nothing is invented.
 */

/** A line as a chart takes it: ascending times, `null` for a known absence. */
export interface TimedValues {
  times_ms: readonly number[];
  values: readonly (number | null)[];
}

/** `undefined` joins its neighbours, `null` breaks the line. */
export type Cell = number | null | undefined;

/** One axis in seconds, as uPlot counts, and a column of the same length for each line. */
export interface Aligned {
  times_s: number[];
  columns: Cell[][];
}

/** All moments of all lines, with one more inside each silence longer than a gap. */
function axisOf(lines: readonly TimedValues[], gap_ms: number): number[] {
  const moments = [...new Set(lines.flatMap((line) => line.times_ms))].sort((a, b) => a - b);
  const axis: number[] = [];
  for (const moment of moments) {
    const before = axis.at(-1);
    if (before !== undefined && moment - before > gap_ms) axis.push((before + moment) / 2);
    axis.push(moment);
  }
  return axis;
}

function columnOf(line: TimedValues, axis: readonly number[], gap_ms: number): Cell[] {
  let next = 0;
  return axis.map((moment) => {
    if (line.times_ms[next] === moment) {
      next += 1;
      return line.values[next - 1] ?? null;
    }
    const before = line.times_ms[next - 1];
    const after = line.times_ms[next];
    const inside = before !== undefined && after !== undefined;
    return inside && after - before <= gap_ms ? undefined : null;
  });
}

/** Aligns lines; a silence longer than `gap_ms` breaks a line. */
export function align(lines: readonly TimedValues[], gap_ms: number): Aligned {
  const axis = axisOf(lines, gap_ms);
  return {
    times_s: axis.map((moment) => moment / 1000),
    columns: lines.map((line) => columnOf(line, axis, gap_ms)),
  };
}

/**
 * Columns added up from the first to the last, for areas that stand on each other. A joined moment
 * holds the value before it; where a line is absent, it adds nothing; where all are, so is the sum.
 */
export function stacked(columns: readonly (readonly Cell[])[]): Cell[][] {
  const length = columns[0]?.length ?? 0;
  const held = columns.map(() => 0);
  const sums: Cell[][] = columns.map(() => []);
  for (let index = 0; index < length; index += 1) {
    const absent = columns.every((column) => column[index] === null);
    let sum = 0;
    columns.forEach((column, place) => {
      const cell = column[index];
      if (cell !== undefined) held[place] = cell ?? 0;
      sum += held[place] ?? 0;
      sums[place]?.push(absent ? null : sum);
    });
  }
  return sums;
}

/** Where a column has a value with no neighbour to draw a line to, so that it needs a dot. */
export function lonely(column: readonly Cell[]): number[] {
  const known = column.flatMap((cell, index) => (cell === undefined ? [] : [{ cell, index }]));
  return known.flatMap(({ cell, index }, place) => {
    const before = known[place - 1]?.cell ?? null;
    const after = known[place + 1]?.cell ?? null;
    return cell !== null && before === null && after === null ? [index] : [];
  });
}

/** The value of a column at an index or, where it is joined there, the one before. */
export function valueAt(column: readonly Cell[], index: number): number | null {
  for (let place = index; place >= 0; place -= 1) {
    const cell = column[place];
    if (cell !== undefined) return cell;
  }
  return null;
}

/** What a legend says of a column; all `null` where it has no value. */
export interface Statistics {
  min: number | null;
  avg: number | null;
  max: number | null;
  last: number | null;
}

/** The statistics of the values that are there. */
export function statistics(column: readonly Cell[]): Statistics {
  let count = 0;
  let sum = 0;
  const found: Statistics = { min: null, avg: null, max: null, last: null };
  for (const cell of column) {
    if (cell === null || cell === undefined) continue;
    count += 1;
    sum += cell;
    found.min = Math.min(found.min ?? cell, cell);
    found.max = Math.max(found.max ?? cell, cell);
    found.last = cell;
  }
  return count === 0 ? found : { ...found, avg: sum / count };
}
