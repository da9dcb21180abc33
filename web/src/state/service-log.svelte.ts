/** The log of one service over a period: read once, and again when asked. */
import { queryInstant, queryRange } from '../api/prometheus.ts';
import type { MatrixSeries } from '../api/types.ts';
import { quoted } from '../domain/promql-text.ts';
import { transitionsOf, type Told, type Transition } from '../domain/transitions.ts';
import type { Period } from '../domain/time-range.ts';
import { Reading } from './reading.svelte.ts';

const HOUR_MS = 3_600_000;
/** Up to this span every sample is read; a longer one in steps, in which no state is lost. */
const EXACT_SPAN_MS = 6 * HOUR_MS;
const STEPS = 720;
const MOST_SERIES = 100;

function told(series: readonly MatrixSeries[], label: string): Told[] {
  return series.map(({ metric, values }) => ({
    value: metric[label] ?? '',
    points: values.map(([time_s, text]) => [Math.round(time_s * 1000), Number(text)] as const),
  }));
}

/** A process that is watched by name has two states: it runs or it does not. */
function ofProcess(series: readonly MatrixSeries[]): Told[] {
  return told(series, 'name').flatMap(({ points }) => [
    { value: 'active', points },
    {
      value: 'missing',
      points: points.map(([time_ms, running]) => [time_ms, running > 0 ? 0 : 1] as const),
    },
  ]);
}

async function samples(
  selector: string,
  period: Period,
  fold: 'max' | 'min' | 'last',
): Promise<MatrixSeries[]> {
  const span_ms = period.to_ms - period.from_ms;
  if (span_ms > EXACT_SPAN_MS) {
    const step_ms = Math.ceil(span_ms / STEPS / 1000) * 1000;
    return queryRange(`${fold}_over_time(${selector}[${step_ms / 1000}s])`, period, step_ms);
  }
  const expression = `${selector}[${Math.max(1, Math.round(span_ms / 1000))}s]`;
  const signal = new AbortController().signal;
  const { data } = await queryInstant(expression, period.to_ms, MOST_SERIES, signal);
  return data.resultType === 'matrix' ? data.result : [];
}

/** The transitions of a service within a period. */
export function serviceLog(
  instance: string,
  name: string,
  kind: 'unit' | 'process',
  period: Period,
): Reading<Transition[]> {
  const chosen = `{job="node",instance=${quoted(instance)},name=${quoted(name)}}`;
  return new Reading(async () => {
    if (kind === 'process') {
      const running = await samples(`muster_named_processes${chosen}`, period, 'min');
      return transitionsOf(ofProcess(running), [], []);
    }
    const [states, results, restarts] = await Promise.all([
      samples(`node_systemd_unit_state${chosen}`, period, 'max'),
      samples(`muster_systemd_unit_result${chosen}`, period, 'max'),
      samples(`node_systemd_service_restart_total${chosen}`, period, 'last'),
    ]);
    const counted = told(restarts, 'name')[0]?.points ?? [];
    return transitionsOf(told(states, 'state'), told(results, 'result'), counted);
  });
}
