/**
 * From a chart's lines to what is drawn and what is read: aligned columns, sums where areas stand on
 * each other, and the rows of legend and tooltip.
 */
import { align, stacked, valueAt, type Cell, type Statistics, type TimedValues } from './align.ts';

/** A line of a chart with its name and place in the palette. */
export interface ChartSeries extends TimedValues {
  key: string;
  name: string;
  /** The whole name, shown where the pointer rests on the short one. */
  full?: string;
  /** Counts from 0; the palette begins again after its last colour. */
  color: number;
  mirrored: boolean;
}

/** Colours of the palette in `tokens.css`. */
export const PALETTE_SIZE = 8;

/** The style variable of a place in the palette. */
export function paletteVariable(color: number): string {
  return `--series-${(color % PALETTE_SIZE) + 1}`;
}

/** What uPlot draws, and the plain values that a person reads. */
export interface Drawn {
  times_s: number[];
  /** As drawn: summed where stacked, negative where mirrored. */
  columns: Cell[][];
  /** As measured. */
  plain: Cell[][];
}

/** Aligns the series that are shown. */
export function drawn(series: readonly ChartSeries[], gap_ms: number, stack: boolean): Drawn {
  const { times_s, columns } = align(series, gap_ms);
  if (stack) return { times_s, columns: stacked(columns), plain: columns };
  const turned = columns.map((column, index) =>
    series[index]?.mirrored === true ? column.map((cell) => (cell ? -cell : cell)) : column,
  );
  return { times_s, columns: turned, plain: columns };
}

/** A row of the legend. */
export interface LegendRow extends Statistics {
  series: ChartSeries;
  /** The value under the crosshair, or the last one. */
  now: number | null;
  hidden: boolean;
}

/** The values that a legend can be sorted by. */
export const LEGEND_COLUMNS = ['now', 'min', 'avg', 'max'] as const;
export type LegendColumn = (typeof LEGEND_COLUMNS)[number];

const NOTHING: Statistics = { min: null, avg: null, max: null, last: null };

/**
 * A row for each series, hidden ones included; `shown`, its columns `plain` and their statistics
 * `found` go together.
 */
export function legendRows(
  all: readonly ChartSeries[],
  shown: readonly ChartSeries[],
  plain: readonly (readonly Cell[])[],
  found: readonly Statistics[],
  index: number | null,
): LegendRow[] {
  return all.map((series) => {
    const place = shown.indexOf(series);
    const column = plain[place] ?? [];
    const known = found[place] ?? NOTHING;
    const now = index === null ? known.last : valueAt(column, index);
    return { series, ...known, now, hidden: place < 0 };
  });
}

/** The rows by a column, highest first; the order as given for null. Unknown values come last. */
export function sortedLegend(rows: readonly LegendRow[], column: LegendColumn | null): LegendRow[] {
  if (column === null) return [...rows];
  const lowest = Number.NEGATIVE_INFINITY;
  return rows.toSorted((one, other) => (other[column] ?? lowest) - (one[column] ?? lowest));
}

/** What is hidden after a click on a name: all others, or nothing where only it was shown. */
export function isolated(
  keys: readonly string[],
  hidden: ReadonlySet<string>,
  key: string,
): Set<string> {
  const alone = !hidden.has(key) && hidden.size === keys.length - 1 && keys.length > 1;
  return alone ? new Set() : new Set(keys.filter((other) => other !== key));
}

/** What is hidden after a Ctrl-click on a name; the last one shown stays. */
export function toggled(
  keys: readonly string[],
  hidden: ReadonlySet<string>,
  key: string,
): Set<string> {
  const next = new Set(hidden);
  if (!next.delete(key)) next.add(key);
  return next.size === keys.length ? new Set(hidden) : next;
}
