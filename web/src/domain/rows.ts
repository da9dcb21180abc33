/** Which rows of a long table are in sight, so that only those exist. */

export interface RowWindow {
  first: number;
  end: number;
  /** Pixels of the rows left out above and below. */
  before: number;
  after: number;
}

/** Rows beyond the edges that exist already when scrolling reaches them. */
const SPARE = 12;

/** The window for `count` rows, `scrolled` pixels past the first, in a view of `height` pixels. */
export function windowOf(
  count: number,
  row_height: number,
  scrolled: number,
  height: number,
): RowWindow {
  const visible = Math.ceil(height / row_height) + 2 * SPARE;
  const wanted = Math.floor(scrolled / row_height) - SPARE;
  const first = Math.max(0, Math.min(wanted, Math.max(0, count - visible)));
  const end = Math.min(count, first + visible);
  return { first, end, before: first * row_height, after: (count - end) * row_height };
}
