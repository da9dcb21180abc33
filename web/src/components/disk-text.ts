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

/** How much it grows a day; empty where it does not steadily. */
export function growthText(system: FileSystem): string {
  const { bytes_per_day } = system.growth;
  return bytes_per_day === null ? '' : `+${figureText(bytes_per_day, 'bytes')}`;
}
