/** What the chart of an alert's value asks for. */
import { expect, test } from 'vitest';

import { valueChart } from './alert-charts.ts';

const LABELS = {
  alertname: 'ServiceFailed',
  instance: 'web-1',
  name: 'a"$b.service',
  state: 'failed',
};

function asked(labels: Record<string, string>, measured: boolean): string | undefined {
  const detail = { host: '', rate: (of: string) => of, peak: (of: string) => of };
  return valueChart('up == 0', 'plain', labels, measured).queries[0]?.promql(detail as never);
}

test('only the thing that the alert is about is drawn, where its labels are those of the values', () => {
  expect(asked(LABELS, true)).toBe(
    '(up == 0) and on (instance, name, state) label_replace(label_replace(label_replace(vector(1), "instance", "web-1", "", ""), "name", "a\\"$$b.service", "", ""), "state", "failed", "", "")',
  );
  expect(asked(LABELS, false)).toBe('up == 0');
  expect(asked({ alertname: 'Watchdog' }, true)).toBe('up == 0');
});
