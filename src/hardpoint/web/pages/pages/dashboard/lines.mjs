// Some series on one time axis, live, with the silent stretches left open.
import uPlot from "../../vendor/uplot.mjs";
import { html, useEffect, useMemo, useRef, useState } from "../../vendor/preact.mjs";
import { deviceSignal } from "../../core/devices.mjs";
import { clock, labelOf, now, unitOf, valueParts } from "../../core/format.mjs";
import { locale, t } from "../../core/i18n.mjs";
import { scheme } from "../../core/preferences.mjs";
import { LineChart, colourOf, withGaps } from "../../ui/chart.mjs";
import { summary } from "../device/charts.mjs";
import { useReadings } from "../device/readings.mjs";

/** As many as the API lets a card have. Hooks are called for each of them, whether there is a series or not. */
const MOST = 8;
const PLACES = Array.from({ length: MOST }, (_, place) => place);

/** `LineChart` with `count` lines. */
class ManyLines extends LineChart {
  options({ unit, count }, group, onHover, onZoom) {
    const options = super.options(unit, group, onHover, onZoom);
    const [time, first] = options.series;
    options.series = [
      time,
      ...PLACES.slice(0, count).map((n) => {
        const stroke = colourOf(this.element, n);
        const fill = count === 1 ? first.fill : undefined;
        return { ...first, stroke, fill, points: { ...first.points, fill: stroke } };
      }),
    ];
    options.cursor = { ...options.cursor, drag: { x: false, y: false } };
    return options;
  }
}

function useMany(series, spanMs, visible) {
  return PLACES.map((place) => {
    const wanted = series[place];
    return useReadings(wanted?.device ?? "", wanted?.key ?? "", {
      spanMs,
      zoom: null,
      visible: visible && Boolean(wanted),
    });
  });
}

function Plot({ data, from, to, unit, count, onHover }) {
  const ref = useRef(null);
  const chart = useRef(null);
  const hover = useRef(onHover);
  hover.current = onHover;
  useEffect(() => {
    const nothing = () => {};
    chart.current = new ManyLines(ref.current, {
      unit: { unit, count },
      group: "board",
      onHover: (at) => hover.current(at),
      onZoom: nothing,
      onReset: nothing,
    });
    chart.current.show(data, from, to);
    return () => chart.current.destroy();
  }, [scheme.value, locale.value, unit, count]);
  useEffect(() => chart.current.show(data, from, to), [data, from, to]);
  return html`<div class="plot series-0" ref=${ref}></div>`;
}

/** What is set of a device's keys. */
const fieldsOf = (id) => deviceSignal(id).value?.fields;

export function Lines({ series, spanMs, visible }) {
  const found = useMany(series, spanMs, visible);
  const [hover, setHover] = useState(null);
  const points = found.slice(0, series.length).map((each) => each.points);
  const data = useMemo(() => {
    const tables = points.map((each) => withGaps(each ?? []));
    // 2: a silence stays open also over the times that only other series have.
    return tables.length === 1
      ? tables[0]
      : uPlot.join(
          tables,
          tables.map(() => [0, 2]),
        );
  }, points);
  const units = new Set(series.map(({ device, key }) => unitOf(key, fieldsOf(device))));
  const unit = units.size === 1 ? [...units][0] : "";
  const to = Math.max(now.value, ...points.map((each) => each?.at(-1)?.[0] ?? 0));
  const oneKey = new Set(series.map(({ key }) => key)).size === 1;
  const oneDevice = new Set(series.map(({ device }) => device)).size === 1;
  const nameOf = ({ device, key }) => {
    const name = deviceSignal(device).value?.name ?? device;
    const label = labelOf(key, fieldsOf(device));
    return oneKey ? name : oneDevice ? label : `${name} ${label}`;
  };
  const words = ({ device, key }, value) => valueParts(key, value, fieldsOf(device)).join(" ").trim();
  const said = series
    .map((each, n) => {
      const sums = summary(points[n]);
      const last = points[n]?.at(-1)?.[1];
      return (
        sums &&
        t("chart.summary", {
          key: nameOf(each),
          low: words(each, sums.low),
          high: words(each, sums.high),
          now: words(each, last),
        })
      );
    })
    .filter(Boolean)
    .join(" ");
  const empty = points.every((each) => each && !each.length);
  const failed = found.find((each) => each.error && !each.points)?.error;
  const under = hover === null ? undefined : data[0][hover];
  return html`
    <ul class="legend">${series.map((each, n) => {
      const last = hover === null ? points[n]?.at(-1)?.[1] : (data[n + 1]?.[hover] ?? null);
      return html`<li key=${n} class="series-${n}"><i class="swatch"></i><span title=${nameOf(each)}>${nameOf(each)}</span>
        <strong class="number">${last === null || last === undefined ? "–" : words(each, last)}</strong></li>`;
    })}${under !== undefined && html`<li class="faint number">${clock(under, true)}</li>`}</ul>
    <div class="chart-body" role="img" aria-label=${said || t("chart.none")}>
      ${
        failed
          ? html`<p class="chart-note">${failed.text}</p>`
          : empty
            ? html`<p class="chart-note">${t("chart.none")}</p>`
            : html`<${Plot} data=${data} from=${to - spanMs} to=${to} unit=${unit} count=${series.length}
              onHover=${setHover} />`
      }
    </div>`;
}
