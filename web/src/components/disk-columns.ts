/** The columns of the table of file systems in order. */
import type { DiskSortColumn } from '../domain/file-systems.ts';
import type { MessageKey } from '../domain/messages.ts';

export interface DiskColumn {
  id: DiskSortColumn;
  title: MessageKey;
  numeric: boolean;
}

export const DISK_COLUMNS: readonly DiskColumn[] = [
  { id: 'full', title: 'column.full', numeric: false },
  { id: 'host', title: 'column.host', numeric: false },
  { id: 'mount', title: 'column.mount', numeric: false },
  { id: 'device', title: 'column.device', numeric: false },
  { id: 'used', title: 'column.used', numeric: true },
  { id: 'size', title: 'column.size', numeric: true },
  { id: 'free', title: 'column.free', numeric: true },
  { id: 'inodes', title: 'column.inodes', numeric: true },
  { id: 'growth', title: 'column.growth', numeric: true },
];

/** Heights of a row; only the rows in sight exist, so they must be exact. */
export const DISK_ROW_HEIGHT = 36;
export const NARROW_DISK_ROW_HEIGHT = 62;
/** Below this width the table keeps only what a phone can hold; `DiskTable.svelte` has it too. */
export const NARROW_WIDTH = 700;
