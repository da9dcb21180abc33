/**
 * The one place that says `new uPlot`: it keeps a canvas in step with a chart's shape and points.
 * A new shape builds a new plot, new points only move into it.
 */
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';

import { faded, FONT, plotOptions, type ChartShape } from './options.ts';

/** Where the pointer is: an index into the points, and its place inside the plot. */
export interface Pointer {
  index: number;
  left: number;
  top: number;
}

export interface PlotEvents {
  /** The crosshair moved, here or in a chart of the same group, or left. */
  point: (pointer: Pointer | null) => void;
  /** A pointer came over this chart, or left it. */
  hover: (over: boolean) => void;
  /** A mouse rests on this chart, so that it should hold still, or left it. A finger never does. */
  hold: (held: boolean) => void;
  /** A period was drawn with the pointer. */
  zoom: (from_ms: number, to_ms: number) => void;
  /** A double click: back to the period before. */
  back: () => void;
}

/** What is drawn at a time. */
export interface PlotView {
  shape: ChartShape;
  data: uPlot.AlignedData;
  from_ms: number;
  to_ms: number;
  /** Charts of one group share the crosshair. */
  group: string;
}

/** A narrower selection than this is a click. */
const SMALLEST_DRAG = 5;

/** Resolves a colour variable to what a canvas understands. */
export function colorOf(host: Element, variable: string): string {
  const probe = document.createElement('i');
  probe.style.color = `var(${variable})`;
  host.append(probe);
  const color = getComputedStyle(probe).color;
  probe.remove();
  return color;
}

function strokeAcross(plot: uPlot, from: [number, number], to: [number, number]): void {
  plot.ctx.beginPath();
  plot.ctx.moveTo(...from);
  plot.ctx.lineTo(...to);
  plot.ctx.stroke();
}

/** Where lines go both ways, the axis between them is drawn. */
function drawMiddle(plot: uPlot, shape: ChartShape, color: string): void {
  if (!shape.series.some((series) => series.mirrored)) return;
  const { left, width } = plot.bbox;
  const y = Math.round(plot.valToPos(0, 'y', true)) + 0.5;
  plot.ctx.save();
  plot.ctx.lineWidth = uPlot.pxRatio;
  plot.ctx.strokeStyle = color;
  strokeAcross(plot, [left, y], [left + width, y]);
  plot.ctx.restore();
}

/** Names a threshold above the plot's right end, where no line is, after a piece of its own. */
function drawLabel(plot: uPlot, text: string, color: string): void {
  const ratio = uPlot.pxRatio;
  const { left, top, width } = plot.bbox;
  const right = left + width;
  const foot = top - 3 * ratio;
  const start = right - plot.ctx.measureText(text).width - 6 * ratio;
  const middle = Math.round(foot - 5 * ratio) + 0.5;
  plot.ctx.fillStyle = color;
  plot.ctx.fillText(text, right, foot);
  strokeAcross(plot, [start - 18 * ratio, middle], [start, middle]);
}

function drawLines(plot: uPlot, shape: ChartShape, colors: Record<string, string>): void {
  const { left, top, width, height } = plot.bbox;
  plot.ctx.save();
  plot.ctx.lineWidth = uPlot.pxRatio;
  plot.ctx.setLineDash([4 * uPlot.pxRatio, 3 * uPlot.pxRatio]);
  plot.ctx.font = FONT.replace('11px', `${Math.round(10 * uPlot.pxRatio)}px`);
  plot.ctx.textAlign = 'right';
  plot.ctx.textBaseline = 'bottom';
  for (const { value, level, label } of shape.thresholds) {
    const y = Math.round(plot.valToPos(value, 'y', true)) + 0.5;
    if (y < top || y > top + height) continue;
    plot.ctx.strokeStyle = colors[level] ?? '';
    strokeAcross(plot, [left, y], [left + width, y]);
    if (label !== '') drawLabel(plot, label, colors['text'] ?? '');
  }
  for (const { time_ms, level } of shape.marks) {
    const x = Math.round(plot.valToPos(time_ms / 1000, 'x', true)) + 0.5;
    if (x < left || x > left + width) continue;
    plot.ctx.strokeStyle = colors[level] ?? '';
    strokeAcross(plot, [x, top], [x, top + height]);
  }
  plot.ctx.restore();
}

/** The way on, dashed, and the range of it, from the last point to the value it goes to. */
function drawForeseen(plot: uPlot, shape: ChartShape): void {
  const { foreseen } = shape;
  const color = shape.series[0]?.color;
  if (foreseen === null || color === undefined) return;
  const { left, top, width, height } = plot.bbox;
  const at = (time_ms: number, value: number): [number, number] => [
    plot.valToPos(time_ms / 1000, 'x', true),
    plot.valToPos(value, 'y', true),
  ];
  const start = at(foreseen.from_ms, foreseen.from);
  const [, goal] = at(foreseen.from_ms, foreseen.to);
  const edge = left + width;
  const end: [number, number][] =
    foreseen.late_ms === null
      ? [
          [Math.max(edge, at(foreseen.early_ms, foreseen.to)[0]), goal],
          [edge, start[1]],
        ]
      : [at(foreseen.late_ms, foreseen.to)];
  plot.ctx.save();
  plot.ctx.beginPath();
  plot.ctx.rect(left, top, width, height);
  plot.ctx.clip();
  plot.ctx.beginPath();
  plot.ctx.moveTo(...start);
  for (const corner of [at(foreseen.early_ms, foreseen.to), ...end]) plot.ctx.lineTo(...corner);
  plot.ctx.closePath();
  plot.ctx.fillStyle = faded(color, 0.16);
  plot.ctx.fill();
  plot.ctx.lineWidth = 1.5 * uPlot.pxRatio;
  plot.ctx.setLineDash([5 * uPlot.pxRatio, 4 * uPlot.pxRatio]);
  plot.ctx.strokeStyle = color;
  strokeAcross(plot, start, at(foreseen.at_ms, foreseen.to));
  plot.ctx.restore();
}

/** The narrowest band that is still seen, and how much of its colour shows behind the lines. */
const LEAST_BAND = 2;
const BAND_ALPHA = 0.13;
/** The solid piece along the top tells a band from a mere tint. */
const BAND_EDGE = 3;

function drawBands(plot: uPlot, shape: ChartShape, colors: Record<string, string>): void {
  const { left, top, width, height } = plot.bbox;
  plot.ctx.save();
  for (const { from_ms, to_ms, level } of shape.bands) {
    const x = Math.max(left, plot.valToPos(from_ms / 1000, 'x', true));
    const end = to_ms === null ? left + width : plot.valToPos(to_ms / 1000, 'x', true);
    const right = Math.min(left + width, Math.max(end, x + LEAST_BAND * uPlot.pxRatio));
    if (end < left || x > left + width) continue;
    plot.ctx.fillStyle = faded(colors[level] ?? '', BAND_ALPHA);
    plot.ctx.fillRect(x, top, right - x, height);
    plot.ctx.fillStyle = colors[level] ?? '';
    plot.ctx.fillRect(x, top, right - x, BAND_EDGE * uPlot.pxRatio);
  }
  plot.ctx.restore();
}

/** A canvas inside `host` that draws whatever view it is given last. */
export class Plot {
  #host: HTMLElement;
  #events: PlotEvents;
  #plot: uPlot | null = null;
  #shape = '';
  /** Ends what listens beyond the plot. */
  #gone = new AbortController();

  constructor(host: HTMLElement, events: PlotEvents) {
    this.#host = host;
    this.#events = events;
  }

  draw(view: PlotView): void {
    const { width, height, ...look } = view.shape;
    const shape = JSON.stringify(look);
    if (this.#plot === null || shape !== this.#shape) {
      this.destroy();
      this.#plot = this.#build(view);
      this.#shape = shape;
    } else if (this.#plot.width !== width || this.#plot.height !== height) {
      this.#plot.setSize({ width, height });
    }
    const plot = this.#plot;
    plot.batch(() => {
      plot.setData(view.data, false);
      plot.setScale('x', { min: view.from_ms / 1000, max: view.to_ms / 1000 });
    });
  }

  destroy(): void {
    this.#gone.abort();
    this.#gone = new AbortController();
    this.#plot?.destroy();
    this.#plot = null;
  }

  #build(view: PlotView): uPlot {
    const color = (variable: string): string => colorOf(this.#host, variable);
    const colors = {
      text: color('--ink-soft'),
      grid: color('--line-faint'),
      axis: color('--line'),
      middle: color('--line-strong'),
    };
    const levels = {
      reference: color('--ink-faint'),
      info: color('--info'),
      warning: color('--warning-mark'),
      critical: color('--critical-mark'),
      text: colors.text,
    };
    const options = plotOptions(view.shape, colors, {
      cursor: this.#cursor(view.group),
      hooks: {
        drawClear: [(plot) => drawBands(plot, view.shape, levels)],
        draw: [
          (plot) => drawMiddle(plot, view.shape, colors.middle),
          (plot) => drawForeseen(plot, view.shape),
          (plot) => drawLines(plot, view.shape, levels),
        ],
        setCursor: [(plot) => this.#pointed(plot)],
        setSelect: [(plot) => this.#selected(plot)],
        ready: [(plot) => this.#listen(plot)],
      },
    });
    if (view.shape.zone === 'utc') {
      options.tzDate = (time_s) => uPlot.tzDate(new Date(time_s * 1000), 'Etc/UTC');
    }
    return new uPlot(options, view.data, this.#host);
  }

  #cursor(group: string): uPlot.Cursor {
    return {
      y: false,
      points: { size: 6, width: 1.5 },
      drag: { x: true, y: false, setScale: false },
      sync: {
        key: group,
        scales: ['x', null],
        // A period drawn in one chart is reported once, by that chart.
        filters: { pub: (type) => type === 'mousemove' || type === 'mouseleave', sub: () => true },
      },
      bind: {
        dblclick: () => () => {
          this.#events.back();
          return null;
        },
      },
    };
  }

  #listen(plot: uPlot): void {
    const leave = (): void => {
      this.#events.hover(false);
      this.#events.hold(false);
    };
    const come = (event: PointerEvent): void => {
      this.#events.hover(true);
      if (event.pointerType === 'mouse') this.#events.hold(true);
    };
    plot.over.addEventListener('pointerenter', come);
    plot.over.addEventListener('pointermove', come);
    plot.over.addEventListener('pointerleave', (event) => {
      // A lifted finger leaves what it pointed at to be read; scrolling or another touch ends it.
      if (event.pointerType === 'mouse') leave();
    });
    const away = { capture: true, passive: true, signal: this.#gone.signal };
    addEventListener(
      'scroll',
      () => {
        leave();
        plot.setCursor({ left: -10, top: -10 });
      },
      away,
    );
    addEventListener(
      'pointerdown',
      (event) => {
        if (event.pointerType !== 'mouse' && !plot.over.contains(event.target as Node)) leave();
      },
      away,
    );
  }

  #pointed(plot: uPlot): void {
    const { idx, left = -1, top = -1 } = plot.cursor;
    const away = idx === null || idx === undefined || left < 0;
    this.#events.point(away ? null : { index: idx, left: left + plot.over.offsetLeft, top });
  }

  #selected(plot: uPlot): void {
    const { left, width } = plot.select;
    if (width < SMALLEST_DRAG) return;
    const from_ms = plot.posToVal(left, 'x') * 1000;
    const to_ms = plot.posToVal(left + width, 'x') * 1000;
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.#events.zoom(from_ms, to_ms);
  }
}
