/** What a tile says below its host's name. */
import type { HostAlerts } from '../domain/alerts.ts';
import type { Host } from '../api/types.ts';
import type { TileShade } from '../domain/tiles.ts';
import { ABSENT, figureText } from '../domain/units.ts';
import { leftText, stateText } from './state-text.ts';

/** The value that the tile is shaded by; the state of a silent host, whose values are old. */
export function tileText(host: Host, by: TileShade, now_ms: number, told?: HostAlerts): string {
  if (host.state === 'silent' || by === 'state') return stateText(host, now_ms, told);
  switch (by) {
    case 'cpu':
      return figureText(host.cpu_percent, 'percent');
    case 'memory':
      return figureText(host.memory_percent, 'percent');
    case 'disk':
      return figureText(host.worst_disk?.used_percent ?? null, 'percent');
    case 'full':
      return host.next_full === null ? ABSENT : leftText(host.next_full.full_ms, now_ms);
    case 'load':
      return figureText(host.load1, 'plain');
    case 'in':
      return figureText(host.receive_bytes_per_second, 'network_rate');
    case 'out':
      return figureText(host.transmit_bytes_per_second, 'network_rate');
  }
}
