/**
 * The language of filters: words that a row's text has, and terms such as `cpu>80`, `tag:web`, `disk<7d`,
 * `-state:silent`. Which fields there are, the screen says. A term that cannot be understood is passed over
 * and told, so that nothing disappears while somebody types.
 */

/** One way to compare a field: what is typed as a number, and the number of a row. */
export interface Measure<Row> {
  parse: (text: string) => number | null;
  read: (row: Row) => number | null;
}

/** A field that is compared, in the first of its measures that understands what was typed. */
export interface NumberField<Row> {
  kind: 'number';
  measures: readonly Measure<Row>[];
  /** What may be typed after the name, to be shown. */
  example: string;
}

/** A field that has words, of which one must be or contain what was typed. */
export interface WordField<Row> {
  kind: 'words';
  read: (row: Row) => readonly string[];
  /** A word must be all that was typed, or begin with it where a `*` follows. */
  whole: boolean;
  /** The only words there are, where they are fixed. */
  choices?: readonly string[];
}

export type Field<Row> = NumberField<Row> | WordField<Row>;

/** What a screen's filter understands. */
export interface FilterLanguage<Row> {
  fields: Readonly<Record<string, Field<Row>>>;
  /** Other names of fields. */
  aliases: Readonly<Record<string, string>>;
  /** What plain words are looked for in, in lower case. */
  text: (row: Row) => string;
}

export type ProblemKind = 'no_field' | 'no_value' | 'not_a_number' | 'not_compared' | 'no_choice';

/** What is wrong with a term. */
export interface FilterProblem {
  kind: ProblemKind;
  field: string;
  value: string;
  /** What could stand there: an example, or the choices. */
  instead: string;
}

export interface Filter<Row> {
  keeps: (row: Row) => boolean;
  problems: FilterProblem[];
}

interface Term {
  start: number;
  end: number;
  negated: boolean;
  /** Empty for a plain word. */
  name: string;
  operator: string;
  value: string;
}

const TERM = /-?(?:[^\s"]|"[^"]*"?)+/g;
const PARTS = /^(-?)([a-z_]+)(<=|>=|!=|:|=|<|>)(.*)$/;

function unquoted(text: string): string {
  return text.replaceAll('"', '');
}

function terms(text: string): Term[] {
  return [...text.toLowerCase().matchAll(TERM)].map((found) => {
    const [whole] = found;
    const place = { start: found.index, end: found.index + whole.length };
    const parts = PARTS.exec(whole);
    const [, minus = '', name = '', operator = '', value = ''] = parts ?? [];
    // A host may be called `db-1:9100`, or `web:8080`.
    if (parts === null || (operator === ':' && /^\d{2,5}$/.test(value))) {
      const negated = whole.length > 1 && whole.startsWith('-');
      const word = unquoted(negated ? whole.slice(1) : whole);
      return { ...place, negated, name: '', operator: '', value: word };
    }
    return { ...place, negated: minus === '-', name, operator, value: unquoted(value) };
  });
}

const COMPARE: Record<string, (one: number, other: number) => boolean> = {
  '<': (one, other) => one < other,
  '<=': (one, other) => one <= other,
  '>': (one, other) => one > other,
  '>=': (one, other) => one >= other,
  '=': (one, other) => one === other,
  ':': (one, other) => one === other,
  '!=': (one, other) => one !== other,
};

type Understood<Row> = ((row: Row) => boolean) | FilterProblem;

function comparison<Row>(field: NumberField<Row>, term: Term): Understood<Row> {
  const compare = COMPARE[term.operator];
  const { name, value } = term;
  if (value === '') return { kind: 'no_value', field: name, value, instead: field.example };
  for (const { parse, read } of field.measures) {
    const bound = parse(value);
    if (bound === null || compare === undefined) continue;
    return (row) => {
      const found = read(row);
      return found !== null && compare(found, bound);
    };
  }
  return { kind: 'not_a_number', field: name, value, instead: field.example };
}

function choice<Row>(field: WordField<Row>, term: Term): Understood<Row> {
  const { name, value, operator } = term;
  const instead = field.choices?.join(', ') ?? '';
  if (!/^[:=]$|^!=$/.test(operator)) return { kind: 'not_compared', field: name, value, instead };
  if (value === '') return { kind: 'no_value', field: name, value, instead };
  if (field.choices !== undefined && !field.choices.includes(value)) {
    return { kind: 'no_choice', field: name, value, instead };
  }
  const begins = value.endsWith('*') ? value.slice(0, -1) : null;
  const is = (word: string): boolean => {
    if (!field.whole) return word.includes(value);
    return begins === null ? word === value : word.startsWith(begins);
  };
  const wanted = operator !== '!=';
  return (row) => field.read(row).some((word) => is(word.toLowerCase())) === wanted;
}

function understood<Row>(language: FilterLanguage<Row>, term: Term): Understood<Row> {
  if (term.name === '') return (row) => language.text(row).includes(term.value);
  const field = language.fields[language.aliases[term.name] ?? term.name];
  if (field === undefined) {
    const instead = Object.keys(language.fields).join(', ');
    return { kind: 'no_field', field: term.name, value: term.value, instead };
  }
  return field.kind === 'number' ? comparison(field, term) : choice(field, term);
}

/** Reads a typed filter. A row is kept where every term that is understood holds. */
export function readFilter<Row>(language: FilterLanguage<Row>, text: string): Filter<Row> {
  const tests: ((row: Row) => boolean)[] = [];
  const problems: FilterProblem[] = [];
  for (const term of terms(text)) {
    const test = understood(language, term);
    if (typeof test !== 'function') problems.push(test);
    else tests.push(term.negated ? (row) => !test(row) : test);
  }
  return { keeps: (row) => tests.every((holds) => holds(row)), problems };
}

/** What could be typed at a place, in the stead of what stands between `start` and `end`. */
export interface Completions {
  start: number;
  end: number;
  options: { insert: string; field: string }[];
}

const MOST_VALUES = 12;

function quotedWhereNeeded(word: string): string {
  return /\s/.test(word) ? `"${word}"` : word;
}

/** What the words of a field begin with what was typed, the commonest first. */
function values<Row>(field: WordField<Row>, rows: readonly Row[], typed: string): string[] {
  if (field.choices !== undefined) return field.choices.filter((word) => word.startsWith(typed));
  const counts = new Map<string, number>();
  for (const word of rows.flatMap((row) => field.read(row))) {
    if (word.toLowerCase().startsWith(typed)) counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  const found = [...counts].sort(
    ([one, count], [other, more]) => more - count || (one < other ? -1 : 1),
  );
  return found.slice(0, MOST_VALUES).map(([word]) => word);
}

/** Offers field names, and after the name of a field with words its words. */
export function completions<Row>(
  language: FilterLanguage<Row>,
  rows: readonly Row[],
  text: string,
  cursor: number,
): Completions {
  const term = terms(text).find(({ start, end }) => start < cursor && cursor <= end);
  if (term === undefined) {
    const options = fieldOptions(language, '');
    return { start: cursor, end: cursor, options };
  }
  const { start, end } = term;
  const minus = term.negated ? '-' : '';
  if (term.name === '') {
    const options = fieldOptions(language, term.value);
    return {
      start,
      end,
      options: options.map((one) => ({ ...one, insert: minus + one.insert })),
    };
  }
  const name = language.aliases[term.name] ?? term.name;
  const field = language.fields[name];
  if (field?.kind !== 'words') return { start, end, options: [] };
  const options = values(field, rows, term.value).map((word) => ({
    insert: `${minus}${term.name}${term.operator}${quotedWhereNeeded(word)} `,
    field: name,
  }));
  return { start, end, options };
}

function fieldOptions<Row>(
  language: FilterLanguage<Row>,
  typed: string,
): { insert: string; field: string }[] {
  return Object.entries(language.fields)
    .filter(([name]) => name.startsWith(typed))
    .map(([name, field]) => ({
      insert: field.kind === 'number' ? `${name}>` : `${name}:`,
      field: name,
    }));
}

/** A text with the words between two places replaced, and the place after what was put in. */
export function completed(
  text: string,
  { start, end }: { start: number; end: number },
  insert: string,
): { text: string; cursor: number } {
  const rest = insert.endsWith(' ') ? text.slice(end).replace(/^\s+/, '') : text.slice(end);
  return { text: text.slice(0, start) + insert + rest, cursor: start + insert.length };
}
