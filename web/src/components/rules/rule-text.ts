/** Rules in the language of the page: their titles, their thresholds in words, for whom they differ. */
import type { BuiltInRule } from '../../api/types.ts';
import { thresholdText } from '../../domain/alerts.ts';
import type { MessageKey } from '../../domain/messages.ts';
import type { Grade, JOBS, Layer } from '../../domain/rules.ts';
import { durationText } from '../../domain/units.ts';
import { language, t } from '../../state/language.svelte.ts';
import { severityText } from '../alerts/alert-text.ts';

export const JOB_NAMES: Record<(typeof JOBS)[number], MessageKey> = {
  performance: 'rules.job_performance',
  disks: 'rules.job_disks',
  services: 'rules.job_services',
  network: 'rules.job_network',
  muster: 'rules.job_muster',
};

export function ruleTitle(rule: Pick<BuiltInRule, 'title' | 'title_zh'>): string {
  return language.current === 'zh' && rule.title_zh !== '' ? rule.title_zh : rule.title;
}

export function ruleAbout(rule: Pick<BuiltInRule, 'about' | 'about_zh'>): string {
  return language.current === 'zh' && rule.about_zh !== '' ? rule.about_zh : rule.about;
}

/** A grade in words: "critical from 95% for 1 min". */
export function gradeText(grade: Grade, rule: Pick<BuiltInRule, 'unit' | 'below'>): string {
  const severity = severityText(grade.severity);
  if (!grade.enabled) return t('rules.grade_off', { severity });
  const threshold = thresholdText(grade.threshold, rule.unit);
  const words =
    grade.threshold === null
      ? t('rules.grade_bare', { severity })
      : t(rule.below ? 'rules.grade_below' : 'rules.grade_above', { severity, threshold });
  if (grade.for_ms === 0) return words;
  return `${words} ${t('rules.grade_for', { duration: durationText(grade.for_ms, language.current, 1) })}`;
}

/** For whom a layer holds. */
export function layerName({ scope, target }: Pick<Layer, 'scope' | 'target'>): string {
  if (scope === 'all') return t('rules.for_all');
  return t(scope === 'group' ? 'rules.for_group' : 'rules.for_host', { name: target });
}
