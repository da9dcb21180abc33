/** Built-in rules in numbers that a person edits: grades, who has which, and a form over them. */
import type { Severity } from './alerts.ts';

export interface Grade {
  severity: Severity;
  enabled: boolean;
  threshold: number | null;
  for_ms: number;
}

export interface GradeChange {
  enabled?: boolean | null;
  threshold?: number | null;
  for_ms?: number | null;
}

export interface Layer {
  scope: 'all' | 'group' | 'host';
  target: string;
  levels: Record<string, GradeChange>;
}

/** A grade with the changes of a layer over it. */
export function changed(grade: Grade, change: GradeChange | undefined): Grade {
  return {
    ...grade,
    enabled: change?.enabled ?? grade.enabled,
    threshold: change?.threshold ?? grade.threshold,
    for_ms: change?.for_ms ?? grade.for_ms,
  };
}

/** The grades of a rule as they hold for somebody for whom nothing else is said than `layers` in their order. */
export function gradesUnder(grades: readonly Grade[], layers: readonly Layer[]): Grade[] {
  return grades.map((grade) =>
    layers.reduce((held, layer) => changed(held, layer.levels[grade.severity]), grade),
  );
}

/** What a form holds of one grade: texts as they are typed; empty is left to the layer below. */
export interface GradeForm {
  severity: Severity;
  enabled: 'inherit' | 'yes' | 'no';
  threshold: string;
  /** In seconds. */
  for_s: string;
}

/** The form of a layer; a grade that it does not change is empty. */
export function formOf(grades: readonly Grade[], layer: Layer | undefined): GradeForm[] {
  return grades.map(({ severity }) => {
    const change = layer?.levels[severity] ?? {};
    const enabled = change.enabled ?? null;
    return {
      severity,
      enabled: enabled === null ? 'inherit' : enabled ? 'yes' : 'no',
      threshold: numberText(change.threshold ?? null),
      for_s: numberText(change.for_ms == null ? null : change.for_ms / 1000),
    };
  });
}

function numberText(value: number | null): string {
  return value === null ? '' : String(value);
}

function typedNumber(text: string): number | null {
  const value = Number(text.trim());
  return text.trim() === '' || !Number.isFinite(value) ? null : value;
}

/** The changes that a form tells, by severity; a grade that changes nothing is left out. */
export function changesOf(forms: readonly GradeForm[]): Record<string, GradeChange> {
  const found: Record<string, GradeChange> = {};
  for (const { severity, enabled, threshold, for_s } of forms) {
    const change: GradeChange = {};
    const limit = typedNumber(threshold);
    const seconds = typedNumber(for_s);
    if (enabled !== 'inherit') change.enabled = enabled === 'yes';
    if (limit !== null) change.threshold = limit;
    if (seconds !== null) change.for_ms = Math.round(seconds * 1000);
    if (Object.keys(change).length > 0) found[severity] = change;
  }
  return found;
}

/** The jobs of the built-in rules, in their order on the page. */
export const JOBS = ['performance', 'disks', 'services', 'network', 'muster'] as const;

/** A document of rules to begin with. */
export const FIRST_DOCUMENT = `groups:
  - name: mine
    rules:
      - alert: TooManyUsers
        expr: sum(app_users) > 1000
        for: 5m
        labels:
          severity: warning
        annotations:
          summary: '{{ $value }} users are signed in'
`;
