/** What came of a query, in a few words. */
import { countText, figureText } from '../../domain/units.ts';
import type { QueryAnswer } from '../../state/explore-run.svelte.ts';
import { language, t } from '../../state/language.svelte.ts';

/** `1,234 series · 84 ms`; empty while there is nothing to tell. */
export function answerText(answer: QueryAnswer | null): string {
  if (answer === null || answer.status === 'idle') return '';
  if (answer.status === 'cancelled') return t('explore.cancelled');
  if (answer.taken_ms === null) return t('explore.asking');
  const shown = countText(answer.series, language.current) + (answer.more ? '+' : '');
  const series = t('explore.series', { count: answer.series, shown });
  return `${series} · ${figureText(answer.taken_ms / 1000, 'seconds')}`;
}

/** All answers in one sentence: the screen's first line. */
export function answerSummary(answers: readonly QueryAnswer[]): string {
  const asked = answers.filter(({ status }) => status !== 'idle');
  if (asked.length === 0) return t('explore.first');
  const failed = asked.filter(({ status }) => status === 'failed').length;
  if (failed === asked.length) return t('explore.all_failed', { count: failed });
  const known = asked.filter(({ taken_ms, status }) => taken_ms !== null && status !== 'failed');
  if (known.length === 0) return t('explore.asking');
  const count = known.reduce((sum, { series }) => sum + series, 0);
  const more = known.some((answer) => answer.more) ? '+' : '';
  const shown = countText(count, language.current) + more;
  const text = t('explore.series', { count, shown });
  return failed === 0 ? text : t('explore.some_failed', { text, failed, total: asked.length });
}
