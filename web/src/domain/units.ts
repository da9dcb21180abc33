/**
 * The only place where a number, a duration or a date becomes text. Memory and disks count in powers
 * of 1024, networks in powers of 1000, and every number keeps about three significant figures so
 * that columns of changing values stay calm.
 */

/** The languages of the page. */
export type Language = 'en' | 'zh';

/** Whose clock a time is written in. */
export type Zone = 'browser' | 'utc';

/** What a number measures. `percent` is 0 to 100. */
export type Unit =
  | 'percent'
  | 'bytes'
  | 'disk_rate'
  | 'network_rate'
  | 'seconds'
  | 'per_second'
  | 'celsius'
  | 'hertz'
  | 'rpm'
  | 'volt'
  | 'watt'
  | 'count'
  | 'plain';

/** A number split so that its unit can be set apart; `unit` may be empty. */
export interface Figure {
  number: string;
  unit: string;
}

/** Shown where there is no value. */
export const ABSENT = '–';

const BINARY = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'] as const;
const DECIMAL = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB'] as const;
const COUNTS = ['', 'k', 'M', 'G', 'T'] as const;
const HERTZ = ['Hz', 'kHz', 'MHz', 'GHz'] as const;
const LOCALES: Record<Language, string> = { en: 'en-GB', zh: 'zh-CN' };

const LENGTHS = [
  { from_s: 172_800, scale: 86_400, name: 'd' },
  { from_s: 7_200, scale: 3_600, name: 'h' },
  { from_s: 120, scale: 60, name: 'min' },
  { from_s: 1, scale: 1, name: 's' },
  { from_s: 1e-3, scale: 1e-3, name: 'ms' },
  { from_s: 1e-6, scale: 1e-6, name: 'µs' },
  { from_s: 0, scale: 1e-9, name: 'ns' },
] as const;

function significant(value: number): string {
  const size = Math.abs(value);
  if (size === 0) return '0';
  if (size < 10) return value.toFixed(2);
  if (size < 100) return value.toFixed(1);
  return value.toFixed(0);
}

function scaled(value: number, base: number, names: readonly string[], suffix: string): Figure {
  let size = value;
  let power = 0;
  // 999.5 would be written as 1000, so the next unit begins there already.
  const turn = base === 1024 ? 1023.5 : 999.5;
  while (Math.abs(size) >= turn && power < names.length - 1) {
    size /= base;
    power += 1;
  }
  // Bytes are whole; a rate of events may be a fraction.
  const whole = power === 0 && names[0] !== '';
  const number = whole ? size.toFixed(0) : significant(size);
  return { number, unit: `${names[power] ?? ''}${suffix}` };
}

/** Below a second in ms, µs and ns; above in seconds, minutes, hours and days. */
function secondsFigure(value: number): Figure {
  const size = Math.abs(value);
  const span = LENGTHS.find(({ from_s }) => size >= from_s) ?? LENGTHS.at(-1);
  if (size === 0 || span === undefined) return { number: '0', unit: 's' };
  return { number: significant(value / span.scale), unit: span.name };
}

/** A number of unknown measure: small ones keep three figures, large ones are not cut. */
function plainNumber(value: number): string {
  const size = Math.abs(value);
  if (size !== 0 && (size < 0.01 || size >= 1e15)) return value.toExponential(2);
  return significant(value);
}

/** The figure of a value, or the mark of absence for `null` and what is not finite. */
export function figure(value: number | null, unit: Unit): Figure {
  if (value === null || !Number.isFinite(value)) return { number: ABSENT, unit: '' };
  switch (unit) {
    case 'percent':
      return { number: value >= 99.95 ? value.toFixed(0) : value.toFixed(1), unit: '%' };
    case 'bytes':
      return scaled(value, 1024, BINARY, '');
    case 'disk_rate':
      return scaled(value, 1024, BINARY, '/s');
    case 'network_rate':
      return scaled(value, 1000, DECIMAL, '/s');
    case 'seconds':
      return secondsFigure(value);
    case 'per_second':
      return scaled(value, 1000, COUNTS, '/s');
    case 'celsius':
      return { number: significant(value), unit: '°C' };
    case 'hertz':
      return scaled(value, 1000, HERTZ, '');
    case 'rpm':
      return { number: value.toFixed(0), unit: 'rpm' };
    case 'volt':
      return { number: significant(value), unit: 'V' };
    case 'watt':
      return { number: significant(value), unit: 'W' };
    case 'count':
      return { number: value.toFixed(0), unit: '' };
    case 'plain':
      return { number: plainNumber(value), unit: '' };
  }
}

function joined({ number, unit }: Figure): string {
  if (unit === '') return number;
  return unit === '%' || unit.startsWith('/') ? number + unit : `${number}\u00a0${unit}`;
}

/** The figure as one text; a percent sign or a slash stands close, other units after a space that never breaks. */
export function figureText(value: number | null, unit: Unit): string {
  return joined(figure(value, unit));
}

/** The same for an axis: no needless zeroes after the point. */
export function axisText(value: number, unit: Unit): string {
  const { number, unit: name } = figure(value, unit);
  const short = number.includes('.') ? number.replace(/\.?0+$/, '') : number;
  return joined({ number: short, unit: name });
}

/** A count with the language's grouping. */
export function countText(value: number, language: Language): string {
  return new Intl.NumberFormat(LOCALES[language]).format(value);
}

const SPANS: readonly { ms: number; en: string; zh: string }[] = [
  { ms: 86_400_000, en: 'd', zh: '天' },
  { ms: 3_600_000, en: 'h', zh: '小时' },
  { ms: 60_000, en: 'min', zh: '分钟' },
  { ms: 1_000, en: 's', zh: '秒' },
];

/** A duration in its `parts` largest units: `3 d 4 h`, `3 天 4 小时`. Negative counts as zero. */
export function durationText(duration_ms: number, language: Language, parts = 2): string {
  let rest = Math.max(0, Math.floor(duration_ms / 1000) * 1000);
  const words: string[] = [];
  for (const span of SPANS) {
    const count = Math.floor(rest / span.ms);
    if (count === 0 && words.length === 0 && span.ms > 1000) continue;
    rest -= count * span.ms;
    if (count > 0 || words.length === 0) words.push(`${count}\u00a0${span[language]}`);
    else break;
    if (words.length === parts) break;
  }
  return words.join(' ');
}

/** The name of this browser's time zone, such as `Asia/Shanghai`. */
export function zoneName(): string {
  return new Intl.DateTimeFormat().resolvedOptions().timeZone;
}

function formatter(
  language: Language,
  zone: Zone,
  options: Intl.DateTimeFormatOptions,
): Intl.DateTimeFormat {
  const place = zone === 'utc' ? { timeZone: 'UTC' } : {};
  return new Intl.DateTimeFormat(LOCALES[language], { ...options, ...place, hourCycle: 'h23' });
}

/** Hours, minutes and seconds of a moment. */
export function clockText(time_ms: number, zone: Zone, seconds = true): string {
  const options: Intl.DateTimeFormatOptions = { hour: '2-digit', minute: '2-digit' };
  return formatter('en', zone, seconds ? { ...options, second: '2-digit' } : options).format(
    time_ms,
  );
}

/** Day and month of a moment, as a chart's axis writes them. */
export function dayText(time_ms: number, language: Language, zone: Zone): string {
  return formatter(language, zone, { day: 'numeric', month: 'short' }).format(time_ms);
}

/** The day of a moment that may lie far away, with its year. */
export function dateText(time_ms: number, language: Language, zone: Zone): string {
  return formatter(language, zone, { day: 'numeric', month: 'short', year: 'numeric' }).format(
    time_ms,
  );
}

/** A full moment, to the second. */
export function momentText(time_ms: number, language: Language, zone: Zone): string {
  return formatter(language, zone, {
    year: 'numeric',
    month: 'short',
    day: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  }).format(time_ms);
}

/** Below this length a period is written with seconds. */
const SECONDS_BELOW_MS = 600_000;

/** A period as a person reads it: `22 Nov 09:52:00 – 09:54:30`; a second day only where it differs. */
export function periodText(from_ms: number, to_ms: number, language: Language, zone: Zone): string {
  const seconds = to_ms - from_ms < SECONDS_BELOW_MS;
  const first = dayText(from_ms, language, zone);
  const last = dayText(to_ms, language, zone);
  const end = clockText(to_ms, zone, seconds);
  const start = `${first} ${clockText(from_ms, zone, seconds)}`;
  return `${start} – ${first === last ? end : `${last} ${end}`}`;
}

function wallClock(time_ms: number, zone: Zone): [date: string, time: string] {
  const shift_ms = zone === 'utc' ? 0 : new Date(time_ms).getTimezoneOffset() * 60_000;
  const text = new Date(time_ms - shift_ms).toISOString();
  const seconds = text.slice(17, 19) === '00' ? '' : text.slice(16, 19);
  return [text.slice(0, 10), text.slice(11, 16) + seconds];
}

/** A moment as a person would type it: `2026-09-01 08:00`. */
export function typedMomentText(time_ms: number, zone: Zone): string {
  return wallClock(time_ms, zone).join(' ');
}

/** A period as a person would type it; the second date is left out on the same day. */
export function typedPeriodText(from_ms: number, to_ms: number, zone: Zone): string {
  const [first_day, first_time] = wallClock(from_ms, zone);
  const [last_day, last_time] = wallClock(to_ms, zone);
  const end = first_day === last_day ? last_time : `${last_day} ${last_time}`;
  return `${first_day} ${first_time} – ${end}`;
}
