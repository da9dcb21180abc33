/** A chart as a file: a picture with its title and lines named, or its values as CSV. */
import { csvText } from '../domain/answer-table.ts';
import { colorOf } from './attach.ts';
import { valueAt } from './align.ts';
import { FONT } from './options.ts';
import { paletteVariable, type ChartSeries, type Drawn } from './series.ts';

/** How long a saved file's content stays within reach. */
const KEPT_MS = 30_000;
const MARGIN = 16;
const TITLE_HEIGHT = 28;
const ROW_HEIGHT = 18;
const SWATCH = 9;

/** The values drawn, a row for each moment and a column for each line. */
export function chartCsv(series: readonly ChartSeries[], { times_s, plain }: Drawn): string {
  const head = ['time', ...series.map((one) => one.full ?? one.name)];
  const rows = times_s.map((time_s, index) => [
    new Date(time_s * 1000).toISOString(),
    ...plain.map((column) => {
      const value = column[index] === undefined ? valueAt(column, index) : column[index];
      return value === null || value === undefined ? '' : String(value);
    }),
  ]);
  return csvText([head, ...rows]);
}

/** Lets the browser save a file. */
export function saveFile(name: string, content: Blob): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(content);
  link.download = name.replace(/[^\p{L}\p{N}._-]+/gu, '-').slice(0, 80);
  link.click();
  // Some browsers begin to read only after the click has been handled.
  setTimeout(() => URL.revokeObjectURL(link.href), KEPT_MS);
}

interface Entry {
  name: string;
  color: string;
  left: number;
  row: number;
}

/** Names of lines, one after the other in as many rows as they need. */
function entries(
  pen: CanvasRenderingContext2D,
  host: Element,
  series: readonly ChartSeries[],
  width: number,
): Entry[] {
  let [left, row] = [0, 0];
  return series.map((one) => {
    const room = SWATCH + 6 + pen.measureText(one.name).width + MARGIN;
    if (left > 0 && left + room > width) [left, row] = [0, row + 1];
    const entry = { name: one.name, color: colorOf(host, paletteVariable(one.color)), left, row };
    left += room;
    return entry;
  });
}

/** A picture of the chart as it stands, in the theme of the page; `plot` is its canvas. */
export async function chartPicture(
  title: string,
  series: readonly ChartSeries[],
  plot: HTMLCanvasElement,
): Promise<Blob | null> {
  const host = plot.parentElement ?? document.body;
  const ratio = plot.width / plot.clientWidth;
  const canvas = document.createElement('canvas');
  const pen = canvas.getContext('2d');
  if (pen === null) return null;
  pen.font = FONT;
  const named = entries(pen, host, series, plot.clientWidth);
  const rows = (named.at(-1)?.row ?? -1) + 1;
  const width = plot.clientWidth + 2 * MARGIN;
  const height = TITLE_HEIGHT + plot.clientHeight + rows * ROW_HEIGHT + 2 * MARGIN;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  pen.scale(ratio, ratio);
  pen.fillStyle = colorOf(host, '--surface');
  pen.fillRect(0, 0, width, height);
  pen.textBaseline = 'middle';
  pen.fillStyle = colorOf(host, '--ink');
  pen.font = FONT.replace('11px', '600 13px');
  pen.fillText(title, MARGIN, MARGIN + TITLE_HEIGHT / 2 - 4, width - 2 * MARGIN);
  pen.drawImage(plot, MARGIN, MARGIN + TITLE_HEIGHT, plot.clientWidth, plot.clientHeight);
  pen.font = FONT;
  const foot = MARGIN + TITLE_HEIGHT + plot.clientHeight + ROW_HEIGHT / 2 + 4;
  for (const { name, color, left, row } of named) {
    const middle = foot + row * ROW_HEIGHT;
    pen.fillStyle = color;
    pen.fillRect(MARGIN + left, middle - SWATCH / 2, SWATCH, SWATCH);
    pen.fillStyle = colorOf(host, '--ink-soft');
    pen.fillText(name, MARGIN + left + SWATCH + 6, middle);
  }
  return new Promise((resolve) => canvas.toBlob(resolve, 'image/png'));
}
