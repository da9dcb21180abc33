/** Settings of agents as a form has them, in texts, and back. */

/** The settings, field by field as the server names them; what is `null` is taken from the layer below. */
export interface AgentSettings {
  fast_interval_ms?: number | null;
  slow_interval_ms?: number | null;
  recorder?: boolean | null;
  collectors_off?: string[] | null;
  mount_points_exclude?: string | null;
  fs_types_exclude?: string | null;
  network_devices_exclude?: string | null;
  named_processes?: Record<string, string> | null;
  process_arguments?: boolean | null;
  cpu_limit_percent?: number | null;
  updates_paused?: boolean | null;
}

/** Settings that leave everything to the layer below. */
export const NOTHING_SET = {
  fast_interval_ms: null,
  slow_interval_ms: null,
  recorder: null,
  collectors_off: null,
  mount_points_include: null,
  mount_points_exclude: null,
  fs_types_include: null,
  fs_types_exclude: null,
  network_devices_exclude: null,
  named_processes: null,
  process_arguments: null,
  cpu_limit_percent: null,
  updates_paused: null,
};

/** A switch that may also be left to the layer below. */
export type Choice = 'inherit' | 'yes' | 'no';

/** What is typed and chosen; an empty text is left to the layer below. */
export interface SettingsForm {
  fast_s: string;
  slow_s: string;
  cpu_percent: string;
  collectors_off: string;
  mount_points_exclude: string;
  fs_types_exclude: string;
  network_devices_exclude: string;
  /** A line each: name = pattern. */
  named_processes: string;
  recorder: Choice;
  process_arguments: Choice;
  updates_paused: Choice;
}

const choiceOf = (value: boolean | null | undefined): Choice =>
  value === true ? 'yes' : value === false ? 'no' : 'inherit';
const flagOf = (choice: Choice): boolean | null => (choice === 'inherit' ? null : choice === 'yes');
const secondsOf = (ms: number | null | undefined): string => (ms == null ? '' : String(ms / 1000));

export function formOf(settings: AgentSettings): SettingsForm {
  const named = Object.entries(settings.named_processes ?? {});
  return {
    fast_s: secondsOf(settings.fast_interval_ms),
    slow_s: secondsOf(settings.slow_interval_ms),
    cpu_percent: settings.cpu_limit_percent == null ? '' : String(settings.cpu_limit_percent),
    collectors_off: (settings.collectors_off ?? []).join(', '),
    mount_points_exclude: settings.mount_points_exclude ?? '',
    fs_types_exclude: settings.fs_types_exclude ?? '',
    network_devices_exclude: settings.network_devices_exclude ?? '',
    named_processes: named.map(([name, pattern]) => `${name} = ${pattern}`).join('\n'),
    recorder: choiceOf(settings.recorder),
    process_arguments: choiceOf(settings.process_arguments),
    updates_paused: choiceOf(settings.updates_paused),
  };
}

function numberOf(text: string, factor: number): number | null {
  return text.trim() === '' ? null : Number(text) * factor;
}

/** Name and pattern of each line; a name alone is its own pattern. */
function namedOf(text: string): Record<string, string> | null {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  if (lines.length === 0) return null;
  return Object.fromEntries(
    lines.map((line) => {
      const at = line.indexOf('=');
      const name = (at < 0 ? line : line.slice(0, at)).trim();
      return [name, at < 0 ? name : line.slice(at + 1).trim()];
    }),
  );
}

/** The settings that a form says; what the form does not show stays as it is in `before`. */
export function settingsOf<T extends AgentSettings>(form: SettingsForm, before: T): T {
  const words = form.collectors_off.split(/[\s,]+/u).filter((word) => word !== '');
  const text = (value: string): string | null => value.trim() || null;
  return {
    ...before,
    fast_interval_ms: numberOf(form.fast_s, 1000),
    slow_interval_ms: numberOf(form.slow_s, 1000),
    cpu_limit_percent: numberOf(form.cpu_percent, 1),
    collectors_off: words.length === 0 ? null : words,
    mount_points_exclude: text(form.mount_points_exclude),
    fs_types_exclude: text(form.fs_types_exclude),
    network_devices_exclude: text(form.network_devices_exclude),
    named_processes: namedOf(form.named_processes),
    recorder: flagOf(form.recorder),
    process_arguments: flagOf(form.process_arguments),
    updates_paused: flagOf(form.updates_paused),
  };
}

/** How many settings a layer has. */
export function countOf(settings: AgentSettings): number {
  return Object.values(settings).filter((value) => value !== null && value !== undefined).length;
}
