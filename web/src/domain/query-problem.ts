/** Where in an expression the server found something wrong, as far as its words tell. */

export interface QueryProblem {
  message: string;
  /** The part of the expression it is about, as offsets; the whole where the message names none. */
  from: number;
  to: number;
  /** Whether the message told the place. */
  placed: boolean;
}

/** What stands before the server's own words. */
const PREAMBLE = /^invalid parameter "query":\s*/;
const PLACE = /^(\d+):(\d+):\s*(?:parse error:\s*)?/;

/** The offset of a line and column, which count characters from 1. */
function offsetOf(expression: string, line: number, column: number): number {
  const lines = expression.split('\n');
  const before = lines.slice(0, line - 1).reduce((sum, text) => sum + text.length + 1, 0);
  const characters = [...(lines[line - 1] ?? '')].slice(0, Math.max(0, column - 1));
  return Math.min(expression.length, before + characters.join('').length);
}

/** The end of the word that begins at an offset. */
function wordEnd(expression: string, from: number): number {
  const word = /^(?:[\w:.]+|\S)/.exec(expression.slice(from))?.[0] ?? '';
  return Math.min(expression.length, from + Math.max(1, word.length));
}

/** Reads an error of the server about an expression. */
export function problemIn(expression: string, error: string): QueryProblem {
  const text = error.replace(PREAMBLE, '');
  const place = PLACE.exec(text);
  if (place !== null) {
    const at = offsetOf(expression, Number(place[1]), Number(place[2]));
    // At the very end there is nothing to underline but the last character.
    const from = Math.max(0, Math.min(at, expression.trimEnd().length - 1));
    const message = text.slice(place[0].length);
    return { message, from, to: wordEnd(expression, from), placed: true };
  }
  const name = /'([\w:]+)'/.exec(text)?.[1];
  const at = name === undefined ? -1 : expression.search(new RegExp(`\\b${name}\\b`));
  if (name !== undefined && at >= 0) {
    return { message: text, from: at, to: at + name.length, placed: true };
  }
  return { message: text, from: 0, to: expression.length, placed: false };
}
