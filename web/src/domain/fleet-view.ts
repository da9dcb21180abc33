/** What the fleet's address says of how it is shown. */
import { readSort, sortText, type Sort } from './hosts.ts';
import { readSpan, SPANS, type Span } from './scrubber.ts';
import { TILE_GROUPS, TILE_SHADES, type TileGroup, type TileShade } from './tiles.ts';

export interface FleetLook {
  filter: string;
  sort: Sort;
  tiles: boolean;
  group: TileGroup;
  shade: TileShade;
  /** The line through the past, where it is open. */
  span: Span | null;
}

/** Reads the address; what makes no sense is as at first. */
export function readLook(query: URLSearchParams): FleetLook {
  const span = query.get('span');
  const at = query.get('at');
  return {
    filter: query.get('filter') ?? '',
    sort: readSort(query.get('sort')),
    tiles: query.get('view') === 'tiles',
    group: TILE_GROUPS.find((name) => name === query.get('by')) ?? 'none',
    shade: TILE_SHADES.find((name) => name === query.get('color')) ?? 'state',
    span: span === null && at === null ? null : readSpan(span),
  };
}

/** Writes it for the address, which stays bare for what is as at first. */
export function lookQuery(look: FleetLook, at_ms: number | null): Record<string, string | null> {
  const { filter, sort, tiles, group, shade, span } = look;
  return {
    view: tiles ? 'tiles' : null,
    filter,
    sort: sortText(sort),
    by: tiles && group !== 'none' ? group : null,
    color: tiles && shade !== 'state' ? shade : null,
    span: span?.id ?? null,
    at: span === null || at_ms === null ? null : String(at_ms),
  };
}

/** The span with which the past is opened first. */
export const FIRST_SPAN: Span = SPANS[2];
