/** From answers to charts: one for each unit, lines named and numbered, the highest where there are too many. */
import { letterOf } from './explore.ts';
import { expressionUnit } from './expression-unit.ts';
import type { Line } from './lines.ts';
import { seriesText, shortNames } from './series-names.ts';
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

/** The charts of all answers, each with at most `most` lines. */
export function exploreCharts(answers: readonly AnsweredLines[], most: number): ExploreChart[] {
  const told = answers.filter(({ lines }) => lines.length > 0);
  const several = answers.length > 1;
  const units = new Set(told.map(({ expression }) => expressionUnit(expression)));
  return [...units].map((unit) => {
    const group = told.filter(({ expression }) => expressionUnit(expression) === unit);
    const all = group.flatMap(({ lines }) => lines);
    const drawn = highest(all, most);
    const lines = group.flatMap((answer) => namedLines(answer, drawn, several));
    return {
      unit,
      title: group.map((answer) => titleOf(answer, several)).join('   '),
      lines: lines.map((line, color) => ({ ...line, color })),
    };
  });
}

function titleOf({ place, expression }: AnsweredLines, several: boolean): string {
  const flat = expression.replace(/\s+/g, ' ');
  return several ? `${letterOf(place)}  ${flat}` : flat;
}

/** The lines of one query that are drawn, named among all that it has. */
function namedLines(
  { place, expression, lines }: AnsweredLines,
  drawn: ReadonlySet<Line>,
  several: boolean,
): NamedLine[] {
  const names = shortNames(
    lines.map(({ labels }) => labels),
    expression.replace(/\s+/g, ' '),
  );
  return lines.flatMap((line, index) => {
    if (!drawn.has(line)) return [];
    const name = names[index] ?? '';
    return [
      {
        key: line.key,
        name: several ? `${letterOf(place)}  ${name}` : name,
        full: seriesText(line.labels),
        color: 0,
        mirrored: false,
        times_ms: line.times_ms,
        values: line.values,
      },
    ];
  });
}
