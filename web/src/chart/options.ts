/**
 * uPlot's options from the shape of a chart: pure, so that axes, scales and fills can be tested
 * without a canvas. What needs the document (colours, events) is handed in.
 */
import type uPlot from 'uplot';

import type { Foreseen } from '../domain/foreseen.ts';
import {
  axisText,
  clockText,
  dayText,
  type Language,
  type Unit,
  type Zone,
} from '../domain/units.ts';
import { lonely, type Cell } from './align.ts';

/** What stands above or below the value axis, without its points. */
export interface SeriesShape {
  name: string;
  /** A colour ready for the canvas. */
  color: string;
  /** Drawn below the axis; its values are handed over negative. */
  mirrored: boolean;
}

/** A value worth a line across the chart. */
export interface Threshold {
  value: number;
  level: 'reference' | 'warning' | 'critical';
  /** Written above the plot's right end; empty for none. */
  label: string;
}

/** A moment worth a line down the chart. */
export interface Mark {
  time_ms: number;
  level: 'reference' | 'warning' | 'critical';
}

/** A period worth a tint behind the lines, such as the firing of an alert. */
export interface Band {
  from_ms: number;
  /** Null while it goes on. */
  to_ms: number | null;
  level: 'info' | 'warning' | 'critical';
}

/** All that decides how a chart looks but its points. */
export interface ChartShape {
  width: number;
  height: number;
  unit: Unit;
  stacked: boolean;
  at_least: number;
  /** The value axis follows the values, below zero too, where they lie far from it. */
  fitted: boolean;
  series: SeriesShape[];
  thresholds: Threshold[];
  marks: Mark[];
  /** Where the first line is going. */
  foreseen: Foreseen | null;
  bands: Band[];
  zone: Zone;
  language: Language;
}

/** Colours of what is no line. */
export interface ChartColors {
  text: string;
  grid: string;
  axis: string;
}

const AXIS_WIDTH = 62;
/** The last label of the time axis stands half beyond the plot. */
const LABEL_HALF = 32;
const DOT_SIZE = 4;
/** Room above the plot for a threshold's name. */
const NAME_HEIGHT = 17;
const AXIS_HEIGHT = 24;
/** Room above the highest point. */
const HEADROOM = 1.06;
/** The type of everything written on the canvas. */
export const FONT =
  '11px Inter, system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif';
const DAY_S = 86_400;

/** Steps of a value axis whose units go by 1024. */
const BINARY_STEPS = Array.from({ length: 60 }, (_, power) => 2 ** power);

/** Steps of a value axis of lengths of time, which go by 10, then by 60 and 24. */
const LENGTH_STEPS = [
  ...Array.from({ length: 10 }, (_, power) => [1, 2, 5].map((step) => step * 10 ** (power - 9))),
  [10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200],
  ...Array.from({ length: 5 }, (_, power) => [1, 2, 5].map((step) => step * 10 ** power * DAY_S)),
].flat();

/**
 * The ends of the value axis: from 0, and on both sides where something is mirrored. Shares of a
 * whole end at 100 %: what two samples close together seem to have above it is no more than jitter.
 */
export function valueRange(
  shape: Pick<ChartShape, 'unit' | 'at_least' | 'series' | 'fitted'>,
  lowest: number | null,
  highest: number | null,
): [number, number] {
  if (shape.fitted) return fittedRange(lowest ?? 0, highest ?? 0);
  const whole = shape.unit === 'percent' && shape.at_least === 100;
  const top = highest ?? 0;
  const high = whole ? 100 : Math.max(shape.at_least, top * HEADROOM);
  if (!shape.series.some((series) => series.mirrored)) return [0, high];
  return [-Math.max(shape.at_least, -(lowest ?? 0) * HEADROOM), high];
}

/** Values that keep this far from zero, against what they vary by, are drawn without it. */
const FAR_FROM_ZERO = 4;

/** The ends of an axis for any values: with zero, unless that would make a flat line of them. */
function fittedRange(lowest: number, highest: number): [number, number] {
  const span = highest - lowest;
  const room = span * (HEADROOM - 1);
  if (span === 0) {
    if (highest === 0) return [0, 1];
    return highest > 0 ? [0, highest * HEADROOM] : [lowest * HEADROOM, 0];
  }
  if (lowest > span * FAR_FROM_ZERO || highest < -span * FAR_FROM_ZERO) {
    return [lowest - room, highest + room];
  }
  return [lowest < 0 ? lowest - room : 0, highest > 0 ? highest + room : 0];
}

/** Texts of the time axis: seconds, minutes or days as dense as the marks stand, days at midnight. */
export function timeTexts(
  moments_s: readonly number[],
  step_s: number,
  zone: Zone,
  language: Language,
): string[] {
  return moments_s.map((moment_s) => {
    if (step_s >= DAY_S) return dayText(moment_s * 1000, language, zone);
    const text = clockText(moment_s * 1000, zone, step_s < 60);
    return text === '00:00' ? dayText(moment_s * 1000, language, zone) : text;
  });
}

/** A colour made transparent; it must be `rgb(…)`, as computed styles give it. */
export function faded(color: string, alpha: number): string {
  const parts = /^rgba?\(([^,)]+),([^,)]+),([^,)]+)/.exec(color);
  return parts === null ? color : `rgba(${parts[1]},${parts[2]},${parts[3]}, ${alpha})`;
}

function seriesOptions(shape: ChartShape): uPlot.Series[] {
  const alone = shape.series.length === 1 || shape.series.some((series) => series.mirrored);
  return shape.series.map((series) => ({
    label: series.name,
    stroke: series.color,
    width: shape.stacked ? 1 : 1.5,
    ...(shape.stacked ? { fill: faded(series.color, 0.55) } : {}),
    ...(!shape.stacked && !shape.fitted && alone ? { fill: faded(series.color, 0.14) } : {}),
    ...(shape.fitted ? {} : { fillTo: 0 }),
    spanGaps: false,
    // Only values without a neighbour get a dot; the rest is a line.
    points: {
      show: true,
      size: DOT_SIZE,
      filter: (plot, index) => lonely(plot.data[index] as Cell[]),
    },
  }));
}

/** Each area but the lowest is filled down to its neighbour. */
function bandsOf(shape: ChartShape): uPlot.Band[] {
  if (!shape.stacked) return [];
  return shape.series.slice(1).map((_, index) => ({ series: [index + 2, index + 1] }));
}

function axesOf(shape: ChartShape, colors: ChartColors): uPlot.Axis[] {
  const binary = shape.unit === 'bytes' || shape.unit === 'disk_rate';
  const drawn = {
    stroke: colors.text,
    font: FONT,
    grid: { stroke: colors.grid, width: 1 },
    ticks: { show: false },
  };
  return [
    {
      ...drawn,
      grid: { show: false },
      border: { show: true, stroke: colors.axis, width: 1 },
      size: AXIS_HEIGHT,
      gap: 4,
      space: 64,
      values: (_plot, moments, _axis, _space, step_s) =>
        timeTexts(moments, step_s, shape.zone, shape.language),
    },
    {
      ...drawn,
      size: AXIS_WIDTH,
      gap: 6,
      space: 30,
      ...(binary ? { incrs: BINARY_STEPS } : {}),
      ...(shape.unit === 'seconds' ? { incrs: LENGTH_STEPS } : {}),
      values: (_plot, values) =>
        values.map((value) => axisText(shape.fitted ? value : Math.abs(value), shape.unit)),
    },
  ];
}

/** The options of a chart; `events` adds what answers to the pointer. */
export function plotOptions(
  shape: ChartShape,
  colors: ChartColors,
  events: Pick<uPlot.Options, 'cursor' | 'hooks'>,
): uPlot.Options {
  const named = shape.thresholds.some(({ label }) => label !== '');
  return {
    width: shape.width,
    height: shape.height,
    padding: [named ? NAME_HEIGHT : 6, LABEL_HALF, 0, 0],
    legend: { show: false },
    series: [{}, ...seriesOptions(shape)],
    bands: bandsOf(shape),
    scales: {
      x: { time: true, auto: false },
      y: { range: (_plot, lowest, highest) => valueRange(shape, lowest, highest) },
    },
    axes: axesOf(shape, colors),
    ...events,
  };
}
