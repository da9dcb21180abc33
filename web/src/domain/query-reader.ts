/**
 * Reads PromQL back into the builder's shape: keep( aggregation by (…) ( function( selector[window] ) ) ),
 * each layer optional. Whatever says more is left to the editor.
 */
import { alternatives, unquoted } from './promql-text.ts';
import {
  AGGREGATIONS,
  ENDS,
  NOTHING_BUILT,
  RANGE_FUNCTIONS,
  type BuiltQuery,
  type Filter,
} from './query-builder.ts';

const TOKEN =
  /\s*(?:([a-zA-Z_:][a-zA-Z0-9_:]*)|("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)|((?:\d+(?:ms|[smhdwy]))+)|(\d+)|(=~|!~|!=|[=(){}[\],]))/y;

interface Token {
  kind: 'name' | 'text' | 'duration' | 'number' | 'sign';
  text: string;
}

const KINDS = ['name', 'text', 'duration', 'number', 'sign'] as const;

function tokens(expression: string): Token[] | null {
  const found: Token[] = [];
  const end = expression.trimEnd().length;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < end) {
    const match = TOKEN.exec(expression);
    if (match === null) return null;
    const place = match.slice(1).findIndex((group) => group !== undefined);
    found.push({ kind: KINDS[place] ?? 'sign', text: match[place + 1] ?? '' });
  }
  return found;
}

/** What a reader throws where the text is none of the builder's. */
class TooRich extends Error {}

class Reader {
  #rest: Token[];

  constructor(all: Token[]) {
    this.#rest = all;
  }

  peek(ahead = 0): string {
    return this.#rest[ahead]?.text ?? '';
  }

  take(kind: Token['kind'], text: string | null = null): string {
    const token = this.#rest.shift();
    if (token?.kind !== kind || (text !== null && token.text !== text)) throw new TooRich();
    return token.text;
  }

  skip(text: string): boolean {
    if (this.#rest[0]?.kind !== 'sign' || this.peek() !== text) return false;
    this.#rest.shift();
    return true;
  }

  /** A label's name, quoted or not. */
  label(): string {
    return this.#rest[0]?.kind === 'text' ? this.text() : this.take('name');
  }

  text(): string {
    const value = unquoted(this.take('text'));
    if (value === null) throw new TooRich();
    return value;
  }

  /** What is at the start, if it is one of these and a bracket or `by` follows. */
  called<T extends string>(names: readonly T[]): T | null {
    const name = names.find((one) => one === this.peek());
    const follows = this.peek(1) === '(' || this.peek(1) === 'by';
    return name === undefined || !follows ? null : name;
  }

  end(): void {
    if (this.#rest.length > 0) throw new TooRich();
  }
}

function readFilter(reader: Reader): Filter {
  const label = reader.label();
  const operator = reader.take('sign');
  const value = reader.text();
  switch (operator) {
    case '=':
      return { label, operator: 'is', values: [value] };
    case '!=':
      return { label, operator: 'is_not', values: [value] };
    case '=~':
    case '!~': {
      const several = alternatives(value);
      const plain = several !== null && several.length > 1;
      const equal = operator === '=~';
      if (plain) return { label, operator: equal ? 'is' : 'is_not', values: several };
      return { label, operator: equal ? 'matches' : 'matches_not', values: [value] };
    }
    default:
      throw new TooRich();
  }
}

function readSelector(reader: Reader): Pick<BuiltQuery, 'metric' | 'filters'> {
  let metric = reader.peek() === '{' ? '' : reader.take('name');
  const filters: Filter[] = [];
  if (reader.skip('{')) {
    while (!reader.skip('}')) {
      const second = reader.peek(1);
      if (metric === '' && (second === ',' || second === '}')) metric = reader.text();
      else filters.push(readFilter(reader));
      if (reader.peek() !== '}') reader.take('sign', ',');
    }
  }
  if (metric === '' || filters.some(({ label }) => label === '__name__')) throw new TooRich();
  return { metric, filters };
}

function readSeries(reader: Reader): BuiltQuery {
  const read = reader.called(RANGE_FUNCTIONS);
  if (read === null) return { ...NOTHING_BUILT, ...readSelector(reader) };
  reader.take('name');
  reader.take('sign', '(');
  const selector = readSelector(reader);
  reader.take('sign', '[');
  const window = reader.take('duration');
  reader.take('sign', ']');
  reader.take('sign', ')');
  return { ...NOTHING_BUILT, ...selector, read, window };
}

function readLabels(reader: Reader): string[] {
  if (reader.peek() !== 'by') return [];
  reader.take('name');
  reader.take('sign', '(');
  const labels: string[] = [];
  while (!reader.skip(')')) {
    labels.push(reader.label());
    if (reader.peek() !== ')') reader.take('sign', ',');
  }
  return labels;
}

function readAggregated(reader: Reader): BuiltQuery {
  const aggregation = reader.called(AGGREGATIONS);
  if (aggregation === null) return readSeries(reader);
  reader.take('name');
  const before = readLabels(reader);
  reader.take('sign', '(');
  const query = readSeries(reader);
  reader.take('sign', ')');
  const by = before.length > 0 ? before : readLabels(reader);
  return { ...query, aggregation, by };
}

function readKept(reader: Reader): BuiltQuery {
  const end = reader.called(ENDS);
  if (end === null || reader.peek(1) !== '(') return readAggregated(reader);
  reader.take('name');
  reader.take('sign', '(');
  const count = Number(reader.take('number'));
  reader.take('sign', ',');
  const query = readAggregated(reader);
  reader.take('sign', ')');
  return { ...query, keep: { end, count } };
}

/** The query that an expression is, or null where the builder has no words for it. */
export function readQuery(expression: string): BuiltQuery | null {
  const all = tokens(expression);
  if (all === null) return null;
  if (all.length === 0) return NOTHING_BUILT;
  try {
    const reader = new Reader(all);
    const query = readKept(reader);
    reader.end();
    return query;
  } catch (error) {
    if (error instanceof TooRich) return null;
    throw error;
  }
}
