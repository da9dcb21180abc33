/**
 * QR codes, as ISO/IEC 18004 describes them: the modules of a text.
 *
 * 1. `qr-words` chooses the smallest version that holds the text, and makes its words.
 * 2. The fixed patterns are drawn; the bits fill the rest in a zigzag from the lower right corner.
 * 3. Of the eight masks the one with the least penalty is laid over the bits.
 */
import { qrWords } from './qr-words.ts';

/** The format's two bits for level L. */
const LEVEL_L = 1;

const MASKS: readonly ((x: number, y: number) => boolean)[] = [
  (x, y) => (x + y) % 2 === 0,
  (_, y) => y % 2 === 0,
  (x) => x % 3 === 0,
  (x, y) => (x + y) % 3 === 0,
  (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2 === 0,
  (x, y) => ((x * y) % 2) + ((x * y) % 3) === 0,
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2 === 0,
  (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2 === 0,
];

/** The centres of the alignment patterns along one side. */
function alignment(version: number): number[] {
  if (version === 1) return [];
  const count = Math.floor(version / 7) + 2;
  const step = Math.floor((version * 8 + count * 3 + 5) / (count * 4 - 4)) * 2;
  const size = version * 4 + 17;
  const rest = Array.from({ length: count - 1 }, (_, place) => size - 7 - place * step);
  return [6, ...rest.reverse()];
}

/** Rows of modules while they are drawn; `null` waits for a bit. */
type Canvas = (boolean | null)[][];

/** A finder (reach 4, its light border within) or an alignment pattern (reach 2). */
function square(canvas: Canvas, x: number, y: number, reach: 2 | 4): void {
  for (let dy = -reach; dy <= reach; dy += 1) {
    for (let dx = -reach; dx <= reach; dx += 1) {
      if (canvas[y + dy]?.[x + dx] === undefined) continue;
      const away = Math.max(Math.abs(dx), Math.abs(dy));
      set(canvas, x + dx, y + dy, reach === 2 ? away !== 1 : away !== 2 && away !== 4);
    }
  }
}

function set(canvas: Canvas, x: number, y: number, dark: boolean): void {
  const row = canvas[y];
  if (row !== undefined) row[x] = dark;
}

/** The format's 15 bits, twice, with the module that is always dark. */
function drawFormat(canvas: Canvas, mask: number): void {
  const size = canvas.length;
  const data = (LEVEL_L << 3) | mask;
  let rest = data;
  for (let round = 0; round < 10; round += 1) rest = (rest << 1) ^ ((rest >>> 9) * 0x537);
  const bits = ((data << 10) | rest) ^ 0x5412;
  for (let bit = 0; bit < 15; bit += 1) {
    const dark = ((bits >>> bit) & 1) === 1;
    if (bit < 6) set(canvas, 8, bit, dark);
    else if (bit < 8) set(canvas, 8, bit + 1, dark);
    else if (bit === 8) set(canvas, 7, 8, dark);
    else set(canvas, 14 - bit, 8, dark);
    if (bit < 8) set(canvas, size - 1 - bit, 8, dark);
    else set(canvas, 8, size - 15 + bit, dark);
  }
  set(canvas, 8, size - 8, true);
}

function drawVersion(canvas: Canvas, version: number): void {
  if (version < 7) return;
  let rest = version;
  for (let round = 0; round < 12; round += 1) rest = (rest << 1) ^ ((rest >>> 11) * 0x1f25);
  const bits = (version << 12) | rest;
  for (let bit = 0; bit < 18; bit += 1) {
    const dark = ((bits >>> bit) & 1) === 1;
    const [far, near] = [canvas.length - 11 + (bit % 3), Math.floor(bit / 3)];
    set(canvas, far, near, dark);
    set(canvas, near, far, dark);
  }
}

function fixedPatterns(version: number): Canvas {
  const size = version * 4 + 17;
  const canvas: Canvas = Array.from({ length: size }, () => Array<boolean | null>(size).fill(null));
  for (let place = 0; place < size; place += 1) {
    set(canvas, 6, place, place % 2 === 0);
    set(canvas, place, 6, place % 2 === 0);
  }
  square(canvas, 3, 3, 4);
  square(canvas, size - 4, 3, 4);
  square(canvas, 3, size - 4, 4);
  const centres = alignment(version);
  const last = centres.at(-1);
  for (const x of centres) {
    for (const y of centres) {
      const corner = (x === 6 && (y === 6 || y === last)) || (y === 6 && x === last);
      if (!corner) square(canvas, x, y, 2);
    }
  }
  drawFormat(canvas, 0);
  drawVersion(canvas, version);
  return canvas;
}

/** Lays the bits, masked, on what the fixed patterns left free. */
function withBits(fixed: Canvas, words: readonly number[], mask: number): boolean[][] {
  const size = fixed.length;
  const canvas = fixed.map((row) => [...row]);
  const masked = MASKS[mask] ?? (() => false);
  let at = 0;
  for (let column = size - 1; column >= 1; column -= 2) {
    const right = column <= 6 ? column - 1 : column;
    for (let step = 0; step < size; step += 1) {
      const upward = ((right + 1) & 2) === 0;
      const y = upward ? size - 1 - step : step;
      for (const x of [right, right - 1]) {
        if (canvas[y]?.[x] !== null) continue;
        const bit = ((words[at >> 3] ?? 0) >>> (7 - (at & 7))) & 1;
        set(canvas, x, y, (bit === 1) !== masked(x, y));
        at += 1;
      }
    }
  }
  drawFormat(canvas, mask);
  return canvas.map((row) => row.map((dark) => dark === true));
}

/** How hard a code is to read: long runs, squares, what looks like a finder, too much of one shade. */
function penalty(modules: readonly boolean[][]): number {
  const size = modules.length;
  const rows = modules.map((row) => row.map((dark) => (dark ? '1' : '0')).join(''));
  const columns = rows.map((_, x) => rows.map((row) => row[x]).join(''));
  let sum = 0;
  for (const line of [...rows, ...columns]) {
    for (const [run] of line.matchAll(/0{5,}|1{5,}/g)) sum += run.length - 2;
    sum += 40 * [...line.matchAll(/(?=10111010000|00001011101)/g)].length;
  }
  for (let y = 1; y < size; y += 1) {
    for (let x = 1; x < size; x += 1) {
      const four = `${rows[y]?.slice(x - 1, x + 1)}${rows[y - 1]?.slice(x - 1, x + 1)}`;
      if (four === '0000' || four === '1111') sum += 3;
    }
  }
  const dark = rows.join('').replaceAll('0', '').length;
  return sum + 10 * Math.floor(Math.abs((dark * 20) / (size * size) - 10));
}

/** The rows of a text's QR code, `true` where dark, without the light border; null if it is too long. */
export function qrModules(text: string): boolean[][] | null {
  const made = qrWords(text);
  if (made === null) return null;
  const fixed = fixedPatterns(made.version);
  const all = MASKS.map((_, mask) => withBits(fixed, made.words, mask));
  return all.reduce((best, next) => (penalty(next) < penalty(best) ? next : best));
}

/** The same as the path of an SVG whose box is `size` modules, the border of 4 included. */
export function qrPath(text: string): { path: string; size: number } | null {
  const modules = qrModules(text);
  if (modules === null) return null;
  const squares = modules.flatMap((row, y) =>
    row.flatMap((dark, x) => (dark ? `M${x + 4} ${y + 4}h1v1h-1z` : [])),
  );
  return { path: squares.join(''), size: modules.length + 8 };
}
