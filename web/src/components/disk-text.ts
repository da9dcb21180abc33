/** What is to be said of a file system's future, in words. */
import type { FileSystem } from '../api/types.ts';
import { fullMs } from '../domain/file-systems.ts';
import { dateText, figureText } from '../domain/units.ts';
import { language, t } from '../state/language.svelte.ts';
import { leftText } from './state-text.ts';

/** When it is full, in a few words: `6 d`, no growth, or why that is not known. */
export function fullText(system: FileSystem, now_ms: number): string {
  if (system.failed) return t('disk.failed');
  if (system.read_only) return t('disk.read_only');
  const full_ms = fullMs(system);
  if (full_ms !== null) return leftText(full_ms, now_ms);
  switch (system.growth.kind) {
    case 'steady':
      return t('disk.far');
    case 'none':
      return t('disk.no_growth');
    case 'unknown':
      return t('disk.unknown');
  }
}

/** The day on which it is full; empty where none is told. */
export function fullDate(system: FileSystem): string {
  const full_ms = fullMs(system);
  return full_ms === null ? '' : dateText(full_ms, language.current, 'browser');
}

/** Between which days it is full, and whether that is a guess; empty where no date is told. */
export function rangeText(system: FileSystem): string {
  const { early_ms, late_ms, confidence } = system.growth;
  if (fullMs(system) === null || early_ms === null) return '';
  const day = (time_ms: number): string => dateText(time_ms, language.current, 'browser');
  const early = day(early_ms);
  const unsure = confidence === 'low' ? ` · ${t('disk.unsure')}` : '';
  if (late_ms === null) return t('disk.not_before', { early }) + unsure;
  const late = day(late_ms);
  return (early === late ? '' : t('disk.between', { early, late })) + unsure;
}

/** All of that in one line, with what it is mounted from. */
export function headText(system: FileSystem, now_ms: number): string {
  const grown = growthText(system);
  return [
    fullText(system, now_ms),
    fullDate(system),
    rangeText(system),
    grown === '' ? '' : t('disks.a_day', { growth: grown }),
    `${system.device} ${system.fstype}`,
  ]
    .filter((part) => part !== '')
    .join(' · ');
}

/** How much it grows a day; empty where it does not steadily. */
export function growthText(system: FileSystem): string {
  const { bytes_per_day } = system.growth;
  return bytes_per_day === null ? '' : `+${figureText(bytes_per_day, 'bytes')}`;
}
