/**
 * The words of a QR code (ISO/IEC 18004): a text's bytes with padding, cut into blocks, each with its
 * Reed-Solomon remainder over GF(256), woven into each other. Error correction is of level L.
 */

/** Words of error correction in each block, by version. */
const CORRECTION = [
  7, 10, 15, 20, 26, 18, 20, 24, 30, 18, 20, 24, 26, 30, 22, 24, 28, 30, 28, 28, 28, 28, 30, 30, 26,
  28, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30,
];
/** Blocks, by version. */
const BLOCKS = [
  1, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 4, 6, 6, 6, 6, 7, 8, 8, 9, 9, 10, 12, 12, 12, 13, 14, 15,
  16, 17, 18, 19, 19, 20, 21, 22, 24, 25,
];
/** Modules for bits, those of the fixed patterns not counted. */
function rawBits(version: number): number {
  let bits = (16 * version + 128) * version + 64;
  if (version >= 2) {
    const places = Math.floor(version / 7) + 2;
    bits -= (25 * places - 10) * places - 55;
    if (version >= 7) bits -= 36;
  }
  return bits;
}

function capacity(version: number): number {
  const correction = (CORRECTION[version - 1] ?? 0) * (BLOCKS[version - 1] ?? 0);
  return Math.floor(rawBits(version) / 8) - correction;
}

/** The product of two elements of GF(2^8) modulo x^8 + x^4 + x^3 + x^2 + 1. */
function times(one: number, other: number): number {
  let product = 0;
  for (let bit = 7; bit >= 0; bit -= 1) {
    product = (product << 1) ^ ((product >>> 7) * 0x11d);
    product ^= ((other >>> bit) & 1) * one;
  }
  return product;
}

function divisor(degree: number): number[] {
  const result = Array<number>(degree).fill(0);
  result[degree - 1] = 1;
  let root = 1;
  for (let round = 0; round < degree; round += 1) {
    for (let place = 0; place < degree; place += 1) {
      result[place] = times(result[place] ?? 0, root) ^ (result[place + 1] ?? 0);
    }
    root = times(root, 2);
  }
  return result;
}

function remainder(words: readonly number[], by: readonly number[]): number[] {
  const result = by.map(() => 0);
  for (const word of words) {
    const factor = word ^ (result.shift() ?? 0);
    result.push(0);
    by.forEach((coefficient, place) => {
      result[place] = (result[place] ?? 0) ^ times(coefficient, factor);
    });
  }
  return result;
}

/** The text's words with padding, for a version. */
function dataWords(bytes: Uint8Array, version: number): number[] {
  const bits: number[] = [];
  const push = (value: number, length: number): void => {
    for (let bit = length - 1; bit >= 0; bit -= 1) bits.push((value >>> bit) & 1);
  };
  push(4, 4);
  push(bytes.length, version < 10 ? 8 : 16);
  for (const byte of bytes) push(byte, 8);
  const room = capacity(version) * 8;
  push(0, Math.min(4, room - bits.length));
  push(0, (8 - (bits.length % 8)) % 8);
  for (let pad = 0xec; bits.length < room; pad ^= 0xec ^ 0x11) push(pad, 8);
  const words = Array<number>(bits.length / 8).fill(0);
  bits.forEach((bit, place) => {
    words[place >> 3] = ((words[place >> 3] ?? 0) << 1) | bit;
  });
  return words;
}

/** Data and correction of all blocks, woven into each other. */
function wovenWords(data: readonly number[], version: number): number[] {
  const blocks = BLOCKS[version - 1] ?? 1;
  const correction = CORRECTION[version - 1] ?? 0;
  const total = Math.floor(rawBits(version) / 8);
  const short = blocks - (total % blocks);
  const length = Math.floor(total / blocks) - correction;
  const by = divisor(correction);
  let at = 0;
  const cut = Array.from({ length: blocks }, (_, block) => {
    const part = data.slice(at, at + length + (block < short ? 0 : 1));
    at += part.length;
    return { part, check: remainder(part, by) };
  });
  const column = (words: 'part' | 'check', place: number): number[] =>
    cut.flatMap((block) => block[words][place] ?? []);
  const parts = Array.from({ length: length + 1 }, (_, place) => column('part', place));
  const checks = Array.from({ length: correction }, (_, place) => column('check', place));
  return [...parts, ...checks].flat();
}

/** The smallest version that holds so many bytes, or null. */
function versionFor(length: number): number | null {
  for (let version = 1; version <= 40; version += 1) {
    const head_bits = version < 10 ? 12 : 20;
    if (head_bits + length * 8 <= capacity(version) * 8) return version;
  }
  return null;
}

/** The version that holds a text and its words; null if none holds it (2,953 bytes are the most). */
export function qrWords(text: string): { version: number; words: number[] } | null {
  const bytes = new TextEncoder().encode(text);
  const version = versionFor(bytes.length);
  if (version === null) return null;
  return { version, words: wovenWords(dataWords(bytes, version), version) };
}
