// One line over time on uPlot, in this page's colours and the reader's language.
import uPlot from "../vendor/uplot.mjs";
import { clock, day, month, year, zoneOffset } from "../core/format.mjs";
import { axisLabels } from "./axis.mjs";
import { loadStyle } from "../core/styles.mjs";

await loadStyle("vendor/uplot.css");

const HEIGHT = 168;
const HALF_LABEL_PX = 14;
const DOT_PX = 5;
const LEAST_SPAN_PX = 2;
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** The shortest that a month of a calendar mostly is: months are counted in it, and marked where they begin. */
const MONTH = 30 * DAY;
/** Distances between time marks, ms: what a clock and a calendar count in. */
const TIME_STEPS = [1, 2, 5, 10, 15, 30]
  .map((n) => n * SECOND)
  .concat(
    [1, 2, 5, 10, 15, 30].map((n) => n * MINUTE),
    [1, 2, 3, 6, 12].map((n) => n * HOUR),
    [1, 2, 7, 14].map((n) => n * DAY),
    [1, 2, 3, 6, 12, 24, 60, 120, 240].map((n) => n * MONTH),
  );

/** A silence longer than this many usual intervals is drawn as a gap. */
const GAP_INTERVALS = 3;

/** The value axis spans at least this part of the value: noise in the last digit is not blown up to a mountain. */
const LEAST_SPREAD = 5e-3;

/** `[times, values]` for uPlot from `[[ts, value], …]`, with a null where the device was silent. */
export function withGaps(points) {
  const steps = [];
  for (let i = 1; i < points.length; i++) steps.push(points[i][0] - points[i - 1][0]);
  const usual = steps.toSorted((a, b) => a - b)[steps.length >> 1] ?? 0;
  const times = [];
  const values = [];
  points.forEach(([ts, value], i) => {
    if (i && ts - points[i - 1][0] > usual * GAP_INTERVALS && usual > 0) {
      times.push(points[i - 1][0] + usual);
      values.push(null);
    }
    times.push(ts);
    values.push(value);
  });
  return [times, values];
}

/**
 * Indices of the points that no line reaches, because there is a gap, or nothing, on both sides. An `undefined` is a time
 * that only other series have, and no gap.
 */
export function isolated(values) {
  const found = [];
  let before = null; // the nearest that is not undefined
  let last = -1; // index of a point with a gap before it, which nothing has followed yet
  values.forEach((value, i) => {
    if (value === undefined) return;
    if (value === null && last >= 0) found.push(last);
    last = value !== null && before === null ? i : -1;
    before = value;
  });
  return last >= 0 ? [...found, last] : found;
}

/** The colour of series `n` in the present theme, as a script can use it. */
export function colourOf(element, n) {
  const probe = document.createElement("i");
  probe.className = `series-${n}`;
  element.append(probe);
  const colour = getComputedStyle(probe).getPropertyValue("--chart-line");
  probe.remove();
  return colour;
}

/** Bottom and top of the value axis: some air around the line. */
export function valueRange(low, high) {
  if (low === null || high === null) return [0, 1];
  const spread = Math.max(high - low, Math.abs(high) * LEAST_SPREAD, 1e-6);
  const middle = (high + low) / 2;
  return [middle - spread * 0.62, middle + spread * 0.62];
}

/**
 * Time marks on the axis: the date where a day begins or the marks are days apart, month and year where they are months
 * apart, else the clock. None where the card's
 * edge would cut it off.
 */
function timeLabels(plot, marks, _axis, _space, step) {
  const end = plot.bbox.width / devicePixelRatio - HALF_LABEL_PX;
  return marks.map((ts) => {
    if (plot.valToPos(ts, "x") > end) return "";
    if (step >= MONTH) return step >= 12 * MONTH ? year(ts) : month(ts);
    const midnight = (ts - zoneOffset(ts)) % DAY === 0 && step >= MINUTE;
    return step >= DAY || midnight ? day(ts) : clock(ts, step < MINUTE);
  });
}

/** Marks at round local times. uPlot's own are in seconds and know nothing of the reader's zone with `ms: 1`. */
export function timeMarks(_plot, _axis, from, to, step) {
  if (step >= MONTH) return monthMarks(from, to, Math.round(step / MONTH));
  const marks = [];
  const offset = zoneOffset(from);
  for (let ts = Math.ceil((from - offset) / step) * step + offset; ts <= to; ts += step) marks.push(ts);
  return marks;
}

/** The beginnings of every so many months of the reader's calendar. */
function monthMarks(from, to, months) {
  const marks = [];
  const first = new Date(from - zoneOffset(from));
  let number = Math.floor((first.getUTCFullYear() * 12 + first.getUTCMonth()) / months) * months;
  for (;;) {
    const local = Date.UTC(Math.floor(number / 12), number % 12);
    const ts = local + zoneOffset(local);
    if (ts > to) return marks;
    if (ts >= from) marks.push(ts);
    number += months;
  }
}

export class LineChart {
  /**
   * `element` is emptied into; its class gives the colours. `onHover(index | null)` follows the crosshair, which all
   * charts of the same `group` share; `onZoom(from, to)` is a dragged range, `onReset()` a double click.
   */
  constructor(element, { unit, group, onHover, onZoom, onReset }) {
    this.element = element;
    this.from = 0;
    this.to = 1;
    this.limits = [];
    this.spans = [];
    this.plot = new uPlot(this.options(unit, group, onHover, onZoom), [[], []], element);
    this.plot.over.addEventListener("dblclick", onReset);
    this.observer = new ResizeObserver(([entry]) => {
      const width = Math.floor(entry.contentRect.width);
      if (width > 0 && width !== this.plot.width) this.plot.setSize({ width, height: HEIGHT });
    });
    this.observer.observe(element);
  }

  /** Show `[times, values]` between two times, ms. */
  show(data, from, to) {
    this.from = from;
    this.to = to;
    this.plot.setData(data);
  }

  /** Draw limits (`{value, end}`; with `end` dashed finer) and shade spans (`[from, to]` ms), from the next `show` on. */
  mark(limits, spans) {
    this.limits = limits;
    this.spans = spans;
  }

  destroy() {
    this.observer.disconnect();
    this.plot.destroy();
  }

  withLimits(low, high) {
    if (low === null || high === null) return [low, high];
    const values = this.limits.map(({ value }) => value);
    return [Math.min(low, ...values), Math.max(high, ...values)];
  }

  drawSpans({ ctx, bbox, valToPos }, colour) {
    ctx.save();
    ctx.fillStyle = colour.replace(")", " / 0.14)");
    for (const [from, to] of this.spans) {
      const start = Math.max(valToPos(from, "x", true), bbox.left);
      const end = Math.min(valToPos(to, "x", true), bbox.left + bbox.width);
      if (end >= start)
        ctx.fillRect(start, bbox.top, Math.max(end - start, LEAST_SPAN_PX * devicePixelRatio), bbox.height);
    }
    ctx.restore();
  }

  drawLimits({ ctx, bbox, valToPos }, colour) {
    ctx.save();
    ctx.strokeStyle = colour;
    ctx.lineWidth = 1.5 * devicePixelRatio;
    for (const { value, end } of this.limits) {
      const y = Math.round(valToPos(value, "y", true));
      ctx.globalAlpha = end ? 0.55 : 1;
      ctx.setLineDash((end ? [2, 4] : [6, 4]).map((px) => px * devicePixelRatio));
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
    }
    ctx.restore();
  }

  options(unit, group, onHover, onZoom) {
    const style = getComputedStyle(this.element);
    const [line, grid, axis, limit] = ["--chart-line", "--chart-grid", "--chart-axis", "--chart-limit"].map((name) =>
      style.getPropertyValue(name),
    );
    const font = `11px ${style.fontFamily}`;
    const shared = { stroke: axis, font, ticks: { show: false } };
    return {
      width: Math.max(120, Math.floor(this.element.clientWidth)),
      height: HEIGHT,
      ms: 1,
      padding: [8, 4, 0, 0],
      legend: { show: false },
      cursor: {
        sync: { key: group, scales: ["x", null] },
        drag: { x: true, y: false, setScale: false, dist: 6 },
        bind: { dblclick: () => null },
        points: { size: 7, width: 2, stroke: line, fill: style.getPropertyValue("--surface") },
      },
      scales: {
        x: { time: true, range: () => [this.from, this.to] },
        y: { range: (_plot, low, high) => valueRange(...this.withLimits(low, high)) },
      },
      axes: [
        {
          ...shared,
          grid: { show: false },
          space: 64,
          incrs: TIME_STEPS,
          splits: timeMarks,
          values: timeLabels,
          size: 26,
          gap: 4,
        },
        {
          ...shared,
          grid: { stroke: grid, width: 1 },
          space: 34,
          size: axisWidth,
          gap: 6,
          values: (_plot, marks, _axis, _space, increment) => axisLabels(marks, unit, increment),
        },
      ],
      series: [
        {},
        {
          stroke: line,
          width: 1.6,
          fill: (plot) => wash(plot, line),
          points: { show: true, filter: (plot, series) => isolated(plot.data[series]), size: DOT_PX, fill: line },
          spanGaps: false,
        },
      ],
      hooks: {
        drawAxes: [(plot) => this.drawSpans(plot, limit)],
        draw: [(plot) => this.drawLimits(plot, limit)],
        setCursor: [(plot) => onHover(plot.cursor.idx ?? null)],
        setSelect: [
          (plot) => {
            if (plot.select.width < 6) return;
            const range = [plot.select.left, plot.select.left + plot.select.width].map((x) => plot.posToVal(x, "x"));
            plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
            onZoom(...range);
          },
        ],
      },
    };
  }
}

/** Room for the longest label. */
function axisWidth(plot, values) {
  const longest = Math.max(0, ...(values ?? []).map((text) => text.length));
  return Math.max(34, 12 + longest * 6.4);
}

/** The fill under the line: its colour, fading downwards. */
function wash(plot, colour) {
  const { top, height } = plot.bbox;
  const gradient = plot.ctx.createLinearGradient(0, top, 0, top + height);
  gradient.addColorStop(0, colour.replace(")", " / 0.16)"));
  gradient.addColorStop(1, colour.replace(")", " / 0)"));
  return gradient;
}
