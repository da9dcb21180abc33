/** Gives the lines of a chart their names and their places in the palette. */
import type { ChartSeries } from '../chart/series.ts';
import type { ChartDefinition } from '../domain/host-charts.ts';
import type { Line } from '../domain/lines.ts';
import { t } from '../state/language.svelte.ts';

/**
 * The series of a chart. Lines of several queries that share a label (a link's two directions) share
 * a colour; their names tell the direction.
 */
export function chartSeries(definition: ChartDefinition, lines: readonly Line[]): ChartSeries[] {
  const places = new Map<string, number>();
  const directions = definition.queries.some((query) => 'label' in query.name && query.mirrored);
  return lines.flatMap((line) => {
    const query = definition.queries[line.query];
    if (query === undefined) return [];
    const several = 'label' in query.name;
    const name = 'label' in query.name ? labelled(query.name.label, line) : t(query.name.message);
    const identity = several ? name : String(line.query);
    const color = places.get(identity) ?? places.size;
    places.set(identity, color);
    const suffix = 'suffix' in query.name ? query.name.suffix : undefined;
    const direction = t(suffix ?? (query.mirrored === true ? 'network.out' : 'network.in'));
    return [
      {
        key: line.key,
        name: several && (directions || suffix !== undefined) ? `${name} ${direction}` : name,
        color: several ? color : (query.color ?? line.query),
        mirrored: query.mirrored ?? false,
        times_ms: line.times_ms,
        values: line.values,
      },
    ];
  });
}

/** The values of the labels that name a line, as one text. */
function labelled(names: string | string[], line: Line): string {
  const all = typeof names === 'string' ? [names] : names;
  return all
    .map((name) => line.labels[name] ?? '')
    .join(' ')
    .trim();
}
