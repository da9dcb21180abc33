/** The columns of the fleet's table in order: what heads them, and on how narrow a screen they stay. */
import type { SortColumn } from '../domain/hosts.ts';
import type { MessageKey } from '../domain/messages.ts';

export interface FleetColumn {
  id: SortColumn;
  title: MessageKey;
  /** Numbers and their heads stand at the right. */
  numeric: boolean;
}

export const FLEET_COLUMNS: readonly FleetColumn[] = [
  { id: 'state', title: 'column.state', numeric: false },
  { id: 'host', title: 'column.host', numeric: false },
  { id: 'alerts', title: 'alerts.title', numeric: true },
  { id: 'cpu', title: 'column.cpu', numeric: true },
  { id: 'memory', title: 'column.memory', numeric: true },
  { id: 'disk', title: 'column.disk', numeric: true },
  { id: 'full', title: 'column.full', numeric: true },
  { id: 'in', title: 'column.in', numeric: true },
  { id: 'out', title: 'column.out', numeric: true },
  { id: 'load', title: 'column.load', numeric: true },
  { id: 'uptime', title: 'column.uptime', numeric: true },
  { id: 'agent', title: 'column.agent', numeric: true },
];

/** Heights of a row; the table shows only the rows in sight, so they must be exact. */
export const ROW_HEIGHT = 36;
export const NARROW_ROW_HEIGHT = 54;
/** Below this width the table keeps only what a phone can hold; `FleetTable.svelte` has it too. */
export const NARROW_WIDTH = 700;
