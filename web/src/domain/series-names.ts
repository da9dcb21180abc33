/** Names for series: what sets them apart, and what they have in common said once. */

export type Labels = Record<string, string>;

const NAME = '__name__';

/** A series as PromQL writes it: `node_load1{instance="web-1"}`. */
export function seriesText(labels: Labels): string {
  const pairs = Object.entries(labels)
    .filter(([label]) => label !== NAME)
    .map(([label, value]) => `${label}=${JSON.stringify(value)}`);
  const name = labels[NAME] ?? '';
  return pairs.length === 0 && name !== '' ? name : `${name}{${pairs.join(', ')}}`;
}

/** The labels whose values are not the same in all series. */
export function varyingLabels(all: readonly Labels[]): string[] {
  const [first = {}] = all;
  const names = [...new Set(all.flatMap((labels) => Object.keys(labels)))];
  return names
    .filter((name) => all.some((labels) => labels[name] !== first[name]))
    .sort((one, other) => (one === NAME ? -1 : other === NAME ? 1 : one < other ? -1 : 1));
}

/**
 * A short name for each series of one query: the value of the one label that sets them apart, else
 * those labels with their names; `alone` for a series that nothing sets apart.
 */
export function shortNames(all: readonly Labels[], alone: string): string[] {
  const varying = varyingLabels(all);
  return all.map((labels) => {
    const told = varying.filter((name) => labels[name] !== undefined);
    if (varying.length === 1) return labels[varying[0] ?? ''] ?? '–';
    const text = told
      .map((name) => (name === NAME ? labels[name] : `${name}=${labels[name]}`))
      .join(' ');
    if (text !== '') return text;
    const full = seriesText(labels);
    return all.length > 1 || full === '{}' ? alone : full;
  });
}
