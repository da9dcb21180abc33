/** An answer as a table: a column for each label where they are few, rows to sort, and CSV. */
import { seriesText, type Labels } from './series-names.ts';

/** One value of an answer. */
export interface Sample {
  /** The place of the query it answers, from 0. */
  query: number;
  labels: Labels;
  time_ms: number;
  /** As the server wrote it. */
  text: string;
}

/** With more labels than this a series stands in one column. */
const MOST_LABELS = 6;

export interface AnswerTable {
  /** Labels with a column of their own; null where a series stands in one. */
  labels: string[] | null;
  /** Whether samples of several moments stand in it. */
  timed: boolean;
  samples: Sample[];
}

/** The table of samples, in the order given. */
export function tableOf(samples: readonly Sample[]): AnswerTable {
  const labels = [...new Set(samples.flatMap((sample) => Object.keys(sample.labels)))].sort();
  const timed = samples.some((sample) => sample.time_ms !== samples[0]?.time_ms);
  return { labels: labels.length > MOST_LABELS ? null : labels, timed, samples: [...samples] };
}

/** What a table is sorted by: `query`, `time`, `value`, `series`, or `label:NAME`. */
export interface TableSort {
  column: string;
  descending: boolean;
}

function keyOf(sample: Sample, column: string): string | number {
  if (column === 'query') return sample.query;
  if (column === 'time') return sample.time_ms;
  if (column === 'series') return seriesText(sample.labels);
  if (column !== 'value') return sample.labels[column.slice('label:'.length)] ?? '';
  const value = Number(sample.text);
  return Number.isNaN(value) ? Number.NEGATIVE_INFINITY : value;
}

/** Sorts samples; texts with numbers in them count, so `sda10` follows `sda9`. */
export function sortedSamples(samples: readonly Sample[], sort: TableSort | null): Sample[] {
  if (sort === null) return [...samples];
  const order = new Intl.Collator('en', { numeric: true });
  const turn = sort.descending ? -1 : 1;
  return samples.toSorted((one, other) => {
    const [left, right] = [keyOf(one, sort.column), keyOf(other, sort.column)];
    if (typeof left === 'number' && typeof right === 'number') {
      return left === right ? 0 : turn * (left < right ? -1 : 1);
    }
    return turn * order.compare(String(left), String(right));
  });
}

/** The sort after a click on a column: values begin with the highest, others with the first. */
export function nextSort(sort: TableSort | null, column: string): TableSort | null {
  const highestFirst = column === 'value' || column === 'time';
  if (sort?.column !== column) return { column, descending: highestFirst };
  return sort.descending === highestFirst ? { column, descending: !highestFirst } : null;
}

/** A field of CSV; what a spreadsheet would take for a formula is made text. */
export function csvField(text: string): string {
  const risky = /^[=+@\t\r]/.test(text) || (text.startsWith('-') && Number.isNaN(Number(text)));
  const safe = risky ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replace(/"/g, '""')}"` : safe;
}

/** Rows as CSV. */
export function csvText(rows: readonly (readonly string[])[]): string {
  return rows.map((row) => `${row.map(csvField).join(',')}\r\n`).join('');
}

/** The table as CSV; the time of each value in ISO form, `letters` name the queries. */
export function tableCsv(
  { labels, samples }: AnswerTable,
  letters: (query: number) => string,
): string {
  const names =
    labels ?? [...new Set(samples.flatMap(({ labels: all }) => Object.keys(all)))].sort();
  const head = ['query', ...names, 'time', 'value'];
  const rows = samples.map(({ query, labels: of, time_ms, text }) => [
    letters(query),
    ...names.map((name) => of[name] ?? ''),
    new Date(time_ms).toISOString(),
    text,
  ]);
  return csvText([head, ...rows]);
}
