/** The table of processes: its columns, order, search, and its shape as a tree. Pure. */

/** One process; rates are null where the agent may not read them. */
export interface ProcessFacts {
  pid: number;
  parent: number;
  user: string;
  program: string;
  command: string;
  state: string;
  threads: number;
  started_ms: number;
  cpu_ratio: number;
  memory_bytes: number;
  read_bytes_per_second: number | null;
  written_bytes_per_second: number | null;
}

export const PROCESS_SORTS = [
  'pid',
  'user',
  'program',
  'cpu',
  'memory',
  'read',
  'written',
  'threads',
  'age',
] as const;
export type ProcessSort = (typeof PROCESS_SORTS)[number];

const NOTHING = -1;
const NUMBERS: Record<Exclude<ProcessSort, 'user' | 'program'>, (one: ProcessFacts) => number> = {
  pid: (one) => -one.pid,
  cpu: (one) => one.cpu_ratio,
  memory: (one) => one.memory_bytes,
  read: (one) => one.read_bytes_per_second ?? NOTHING,
  written: (one) => one.written_bytes_per_second ?? NOTHING,
  threads: (one) => one.threads,
  age: (one) => -one.started_ms,
};

function compare(one: ProcessFacts, other: ProcessFacts, sort: ProcessSort): number {
  if (sort === 'user' || sort === 'program') return one[sort].localeCompare(other[sort]);
  return NUMBERS[sort](other) - NUMBERS[sort](one);
}

/** The processes in an order: texts ascend, the largest numbers come first; `reversed` turns it round. */
export function sortedProcesses<T extends ProcessFacts>(
  rows: readonly T[],
  sort: ProcessSort,
  reversed: boolean,
): T[] {
  const turn = reversed ? -1 : 1;
  return rows.toSorted((one, other) => turn * compare(one, other, sort) || one.pid - other.pid);
}

/** The processes in whose number, user or command all words occur. */
export function searchedProcesses<T extends ProcessFacts>(rows: readonly T[], text: string): T[] {
  const words = text
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '');
  return rows.filter((row) => {
    const all = `${row.pid} ${row.user} ${row.program} ${row.command}`.toLowerCase();
    return words.every((word) => all.includes(word));
  });
}

/** A process and how deep it stands below its ancestors. */
export interface TreeRow<T> {
  row: T;
  depth: number;
}

/** The processes below their parents, brothers in the order given. One whose parent is not there stands at the root. */
export function treeOf<T extends ProcessFacts>(rows: readonly T[]): TreeRow<T>[] {
  const known = new Set(rows.map((row) => row.pid));
  const children = new Map<number, T[]>();
  const roots: T[] = [];
  for (const row of rows) {
    if (row.parent === row.pid || !known.has(row.parent)) roots.push(row);
    else children.set(row.parent, [...(children.get(row.parent) ?? []), row]);
  }
  const found: TreeRow<T>[] = [];
  const seen = new Set<number>();
  const visit = (row: T, depth: number): void => {
    if (seen.has(row.pid)) return;
    seen.add(row.pid);
    found.push({ row, depth });
    for (const child of children.get(row.pid) ?? []) visit(child, depth + 1);
  };
  for (const root of roots) visit(root, 0);
  return found;
}

/** The processes of a host at a moment, with how many more there are. */
export interface ProcessTable {
  time_ms: number;
  rows: ProcessFacts[];
  truncated: number;
}
