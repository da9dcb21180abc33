/** What may be typed as a value in a filter: percentages, counts, sizes, lengths of time, versions. */

/** `80`, `80%`. */
export function readPercent(text: string): number | null {
  const found = /^(\d+(?:\.\d+)?)%?$/.exec(text);
  return found === null ? null : Number(found[1]);
}

/** `4`, `0.5`. */
export function readCount(text: string): number | null {
  return /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : null;
}

const SHARES: Record<string, number> = { '': 0, k: 1, m: 2, g: 3, t: 4, p: 5 };

function scaled(text: string, base: number, pattern: RegExp): number | null {
  const found = pattern.exec(text);
  const power = SHARES[found?.[2] ?? ''];
  return found === null || power === undefined ? null : Number(found[1]) * base ** power;
}

/** Bytes a second in powers of 1000: `500k`, `2MB/s`. */
export function readRate(text: string): number | null {
  return scaled(text, 1000, /^(\d+(?:\.\d+)?)([kmgtp]?)b?(?:\/s)?$/);
}

/** Bytes in powers of 1024: `20g`, `1.5TiB`. */
export function readSize(text: string): number | null {
  return scaled(text, 1024, /^(\d+(?:\.\d+)?)([kmgtp]?)(?:i?b)?$/);
}

const LENGTHS_MS: Record<string, number> = {
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  y: 31_536_000_000,
};

/** A length of time in milliseconds: `90min`, `12h`, `7d`, `2w`. */
export function readLength(text: string): number | null {
  const found = /^(\d+(?:\.\d+)?)([a-z]+)$/.exec(text);
  const unit_ms = LENGTHS_MS[found?.[2] ?? ''];
  return found === null || unit_ms === undefined ? null : Number(found[1]) * unit_ms;
}

/** A version as one number in the order of versions: `0.2`, `1.10.3`; what follows the numbers is left out. */
export function readVersion(text: string): number | null {
  const found = /^v?(\d+)(?:\.(\d+))?(?:\.(\d+))?/.exec(text);
  if (found === null) return null;
  const [major = 0, minor = 0, patch = 0] = found.slice(1).map((part) => Number(part ?? 0));
  return (major * 10_000 + minor) * 10_000 + patch;
}
