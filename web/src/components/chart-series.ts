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
    const labelled = 'label' in query.name;
    const name =
      'label' in query.name ? (line.labels[query.name.label] ?? '') : t(query.name.message);
    const identity = labelled ? name : String(line.query);
    const color = places.get(identity) ?? places.size;
    places.set(identity, color);
    const direction = query.mirrored === true ? ` ${t('network.out')}` : ` ${t('network.in')}`;
    return [
      {
        key: line.key,
        name: labelled && directions ? name + direction : name,
        color: labelled ? color : (query.color ?? line.query),
        mirrored: query.mirrored ?? false,
        times_ms: line.times_ms,
        values: line.values,
      },
    ];
  });
}
