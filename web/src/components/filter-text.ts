/** The fields of filters, and what is wrong with a term, in words. */
import type { FilterProblem, ProblemKind } from '../domain/filter.ts';
import type { MessageKey } from '../domain/messages.ts';
import { t } from '../state/language.svelte.ts';

const FIELDS: Record<string, MessageKey> = {
  state: 'field.state',
  tag: 'field.tag',
  group: 'field.group',
  cpu: 'field.cpu',
  mem: 'field.mem',
  disk: 'field.disk',
  swap: 'field.swap',
  load: 'field.load',
  in: 'field.in',
  out: 'field.out',
  cpus: 'field.cpus',
  uptime: 'field.uptime',
  version: 'field.version',
  os: 'field.os',
  kernel: 'field.kernel',
  name: 'field.name',
  host: 'field.name',
  mount: 'field.mount',
  type: 'field.type',
  used: 'field.used',
  full: 'field.full',
  inodes: 'field.inodes',
  size: 'field.size',
  free: 'field.free',
  growth: 'field.growth',
};

const PROBLEMS: Record<ProblemKind, MessageKey> = {
  no_field: 'filter.no_field',
  no_value: 'filter.no_value',
  not_a_number: 'filter.not_a_number',
  not_compared: 'filter.not_compared',
  no_choice: 'filter.no_choice',
};

/** What a field is; empty for one that nobody described. */
export function fieldText(field: string): string {
  const key = FIELDS[field];
  return key === undefined ? '' : t(key);
}

/** What is wrong with a term, and what could stand there instead. */
export function problemText({ kind, field, value, instead }: FilterProblem): string {
  return t(PROBLEMS[kind], { field, value, instead });
}
