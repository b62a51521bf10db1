// Some series of one unit on one time axis, each with the band between the least and the greatest of what it stands for.
import uPlot from "../../vendor/uplot.mjs";
import { html, useEffect, useRef } from "../../vendor/preact.mjs";
import { locale } from "../../core/i18n.mjs";
import { scheme } from "../../core/preferences.mjs";
import { LineChart, colourOf, withGaps } from "../../ui/chart.mjs";

/** Columns of one series: its line, and the two edges of its band. */
const COLUMNS = 3;

/** `[times, low, high]`, open where the line is. */
function bandColumns(band) {
  const [times, low] = withGaps(band.map(([ts, least]) => [ts, least]));
  const [, high] = withGaps(band.map(([ts, , most]) => [ts, most]));
  return [times, low, high];
}

/** `[times, line, low, high, line, low, high, …]` of `[{points, band}, …]`, on the times of all of them. */
export function columnsOf(series) {
  const tables = series.flatMap(({ points, band }) => [
    withGaps(points ?? []),
    bandColumns(band),
  ]);
  // 2: a silence stays open also over the times that only other series have.
  const modes = series.flatMap(() => [
    [0, 2],
    [0, 2, 2],
  ]);
  return tables.some(([times]) => times.length) ? uPlot.join(tables, modes) : [[], ...series.flatMap(() => [[], [], []])];
}

/** Half the width and the height of a mark's sign on the time axis. */
const SIGN_PX = 4;

class BandChart extends LineChart {
  /** Show spans (`[from, to]`) shaded and `events` (`{kind, from}`) as signs on the axis, from the next `show` on. */
  markEvents(spans, events) {
    this.mark([], spans);
    this.events = events;
  }

  /** A dotted line up from each event, and at its foot a sign: a triangle is a command, a ring a new connection. */
  drawEvents({ ctx, bbox, valToPos }, colour) {
    const px = devicePixelRatio;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = colour;
    ctx.lineWidth = px;
    const bottom = bbox.top + bbox.height;
    for (const { kind, from } of this.events ?? []) {
      const x = Math.round(valToPos(from, "x", true));
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.globalAlpha = 0.5;
      ctx.setLineDash([px, 3 * px]);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bottom);
      ctx.stroke();
      ctx.globalAlpha = 1;
      ctx.setLineDash([]);
      ctx.beginPath();
      if (kind === "command") {
        ctx.moveTo(x - SIGN_PX * px, bottom);
        ctx.lineTo(x + SIGN_PX * px, bottom);
        ctx.lineTo(x, bottom - 2 * SIGN_PX * px);
        ctx.fill();
      } else {
        ctx.arc(x, bottom - SIGN_PX * px, 3 * px, 0, 2 * Math.PI);
        ctx.stroke();
      }
    }
    ctx.restore();
  }

  options({ unit, places }, group, onHover, onZoom) {
    const options = super.options(unit, group, onHover, onZoom);
    const [time, first] = options.series;
    options.series = [time];
    options.bands = [];
    for (const place of places) {
      const stroke = colourOf(this.element, place);
      const fill = places.length === 1 ? first.fill : undefined;
      const at = options.series.length;
      options.series.push({ ...first, stroke, fill, points: { ...first.points, fill: stroke } });
      // The band's edges are no lines: what they hold between them is washed.
      for (let edge = 1; edge < COLUMNS; edge++)
        options.series.push({ stroke: "transparent", width: 0, points: { show: false }, spanGaps: false });
      options.bands.push({ series: [at + 2, at + 1], fill: stroke.replace(")", " / 0.18)") });
    }
    const sign = getComputedStyle(this.element).getPropertyValue("--chart-axis");
    options.hooks.draw.push((plot) => this.drawEvents(plot, sign));
    // The crosshair's dots sit on lines and not on edges.
    const onLine = (index) => (index - 1) % COLUMNS === 0;
    const { size, width } = options.cursor.points;
    options.cursor.points = {
      ...options.cursor.points,
      size: (_plot, index) => (onLine(index) ? size : 0),
      width: (_plot, index) => (onLine(index) ? width : 0),
    };
    return options;
  }

  /** Move the crosshair by some points. */
  step(by) {
    const { plot } = this;
    const times = plot.data[0];
    if (!times.length) return;
    const index = Math.min(Math.max((plot.cursor.idx ?? times.length) + by, 0), times.length - 1);
    plot.setCursor({ left: plot.valToPos(times[index], "x"), top: plot.over.clientHeight / 2 });
  }
}

/** `places` are the colours of the series, `marks` what happened meanwhile (markers.mjs). `keys` is filled with `{step}` for who handles the keyboard. */
export function Plot({ data, from, to, unit, places, marks, onHover, onZoom, onReset, keys }) {
  const ref = useRef(null);
  const chart = useRef(null);
  const acts = useRef({});
  acts.current = { onHover, onZoom, onReset };
  const draw = () => {
    const [spans, events] = [marks.filter(({ kind }) => kind === "alert"), marks.filter(({ kind }) => kind !== "alert")];
    chart.current.markEvents(
      spans.map((span) => [span.from, span.to]),
      events,
    );
    chart.current.show(data, from, to);
  };
  // Built anew for a new theme or language: a canvas keeps the colours and words it was drawn with.
  useEffect(() => {
    const call =
      (name) =>
      (...args) =>
        acts.current[name](...args);
    chart.current = new BandChart(ref.current, {
      unit: { unit, places },
      group: "device",
      onHover: call("onHover"),
      onZoom: call("onZoom"),
      onReset: call("onReset"),
    });
    keys.current = chart.current;
    draw();
    return () => chart.current.destroy();
  }, [scheme.value, locale.value, unit, places.join()]);
  useEffect(draw, [data, from, to, marks]);
  return html`<div class="plot series-${places[0] ?? 0}" ref=${ref}></div>`;
}
