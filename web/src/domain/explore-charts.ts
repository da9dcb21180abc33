/** From answers to charts: one for each unit, lines named and numbered, the highest where there are too many. */
import { letterOf } from './explore.ts';
import { expressionUnit } from './expression-unit.ts';
import type { Line } from './lines.ts';
import { seriesText, sharedText, shortNames } from './series-names.ts';
import type { Unit } from './units.ts';

/** One query's lines. */
export interface AnsweredLines {
  /** The query's place, from 0. */
  place: number;
  expression: string;
  lines: readonly Line[];
}

/** A line as the chart draws it. */
export interface NamedLine {
  key: string;
  name: string;
  /** The whole series, for who wants to know exactly. */
  full: string;
  color: number;
  mirrored: boolean;
  times_ms: number[];
  values: (number | null)[];
}

export interface ExploreChart {
  unit: Unit;
  title: string;
  lines: NamedLine[];
}

/** The highest value of a line; lines without any come last. */
function peak({ values }: Line): number {
  return values.reduce<number>(
    (highest, value) => Math.max(highest, value ?? Number.NEGATIVE_INFINITY),
    Number.NEGATIVE_INFINITY,
  );
}

/** The `most` lines with the highest peaks of all, in the order they came in. */
export function highest(all: readonly Line[], most: number): ReadonlySet<Line> {
  if (all.length <= most) return new Set(all);
  const ranked = all.map((line) => ({ line, peak: peak(line) }));
  ranked.sort((one, other) => (one.peak === other.peak ? 0 : one.peak < other.peak ? 1 : -1));
  return new Set(ranked.slice(0, most).map(({ line }) => line));
}

/** The charts of all answers, with at most `most` lines together. */
export function exploreCharts(answers: readonly AnsweredLines[], most: number): ExploreChart[] {
  const told = answers.filter(({ lines }) => lines.length > 0);
  const drawn = highest(
    told.flatMap(({ lines }) => lines),
    most,
  );
  const charts = new Map<Unit, { titles: string[]; lines: NamedLine[] }>();
  for (const { place, expression, lines } of told) {
    const unit = expressionUnit(expression);
    const chart = charts.get(unit) ?? { titles: [], lines: [] };
    charts.set(unit, chart);
    const several = answers.length > 1;
    const labels = lines.map((line) => line.labels);
    const shared = lines.length > 1 ? sharedText(labels) : '';
    const flat = expression.replace(/\s+/g, ' ');
    chart.titles.push(`${several ? `${letterOf(place)}  ` : ''}${shared === '' ? flat : shared}`);
    const names = shortNames(labels, flat);
    lines.forEach((line, index) => {
      if (!drawn.has(line)) return;
      const name = names[index] ?? '';
      chart.lines.push({
        key: line.key,
        name: several ? `${letterOf(place)}  ${name}` : name,
        full: seriesText(line.labels),
        color: chart.lines.length,
        mirrored: false,
        times_ms: line.times_ms,
        values: line.values,
      });
    });
  }
  return [...charts].map(([unit, { titles, lines }]) => ({
    unit,
    title: titles.join('   '),
    lines,
  }));
}
