// One live chart for each numeric key. They share the time axis and the crosshair.
import { html, useEffect, useMemo, useRef, useState } from "../../vendor/preact.mjs";
import { absolute, clock, now, unitOf, valueParts } from "../../core/format.mjs";
import { locale, t } from "../../core/i18n.mjs";
import { scheme } from "../../core/preferences.mjs";
import { route, setQuery } from "../../core/router.mjs";
import { LineChart, withGaps } from "../../ui/chart.mjs";
import { Empty, Icon, IconButton } from "../../ui/elements.mjs";
import { useReadings } from "./readings.mjs";

const MINUTE = 60_000;
const SPANS = { "5m": 5 * MINUTE, "1h": 60 * MINUTE, "6h": 360 * MINUTE, "24h": 1_440 * MINUTE, "7d": 10_080 * MINUTE };
const DEFAULT_SPAN = "1h";
/** A device younger than this opens with the shortest span: an hour with one minute in it looks empty. */
const YOUNG_MS = 10 * MINUTE;
const TABLE_ROWS = 20;
const SERIES = 8;

/** Whether an element is on screen, or nearly. */
function useVisible(ref) {
  const [visible, setVisible] = useState(false);
  useEffect(() => {
    const seen = new IntersectionObserver(([entry]) => setVisible(entry.isIntersecting), { rootMargin: "200px" });
    seen.observe(ref.current);
    return () => seen.disconnect();
  }, []);
  return visible;
}

/** `{low, high, mean}` of `[[ts, value], …]`, or `null` of none. */
export function summary(points) {
  if (!points?.length) return null;
  let [low, high, sum] = [Infinity, -Infinity, 0];
  for (const [, value] of points) {
    if (value < low) low = value;
    if (value > high) high = value;
    sum += value;
  }
  return { low, high, mean: sum / points.length };
}

function Plot({ data, from, to, unit, onHover, onZoom, onReset }) {
  const ref = useRef(null);
  const chart = useRef(null);
  const acts = useRef({});
  acts.current = { onHover, onZoom, onReset };
  // Built anew for a new theme or language: a canvas keeps the colours and words it was drawn with.
  useEffect(() => {
    const call =
      (name) =>
      (...args) =>
        acts.current[name](...args);
    chart.current = new LineChart(ref.current, {
      unit,
      group: "device",
      onHover: call("onHover"),
      onZoom: call("onZoom"),
      onReset: call("onReset"),
    });
    chart.current.show(data, from, to);
    return () => chart.current.destroy();
  }, [scheme.value, locale.value, unit]);
  useEffect(() => chart.current.show(data, from, to), [data, from, to]);
  return html`<div class="plot" ref=${ref}></div>`;
}

function Table({ name, points }) {
  const unit = unitOf(name);
  return html`<div class="chart-table" tabindex="0"><table>
    <thead><tr><th scope="col">${t("chart.time")}</th><th scope="col">${name}${unit && ` (${unit})`}</th></tr></thead>
    <tbody>${points
      .slice(-TABLE_ROWS)
      .reverse()
      .map(
        ([ts, value]) =>
          html`<tr key=${ts}><td>${absolute(ts)}</td><td class="number">${valueParts(name, value)[0]}</td></tr>`,
      )}</tbody>
  </table></div>`;
}

function ChartBody({ name, points, error, plot, table }) {
  if (error && !points) return html`<p class="chart-note">${error.text}</p>`;
  if (!points)
    return html`<div class="chart-note" role="status"><${Icon} name="refresh-cw" spin /><span class="visually-hidden">
      ${t("state.loading")}</span></div>`;
  if (!points.length) return html`<p class="chart-note">${t("chart.none")}</p>`;
  return table ? html`<${Table} name=${name} points=${points} />` : html`<${Plot} ...${plot} />`;
}

function ChartCard({ id, name, latest, index, spanMs, zoom, onZoom, onReset }) {
  const ref = useRef(null);
  const [hover, setHover] = useState(null);
  const [table, setTable] = useState(false);
  const visible = useVisible(ref);
  const { points, agg, error } = useReadings(id, name, { spanMs, zoom, visible });
  const data = useMemo(() => withGaps(points ?? []), [points]);
  const sums = useMemo(() => summary(points), [points]);
  const to = zoom?.to ?? Math.max(now.value, points?.at(-1)?.[0] ?? 0);
  const from = zoom?.from ?? to - spanMs;

  const under = hover === null ? undefined : data[1][hover];
  const [value, unit] = valueParts(name, under ?? latest.value);
  const words = (number) => valueParts(name, number).join(" ").trim();
  const short = (number) => (unit.endsWith("B") || unit.endsWith("B/s") ? words(number) : valueParts(name, number)[0]);
  const said =
    sums && t("chart.summary", { key: name, low: words(sums.low), high: words(sums.high), now: words(latest.value) });
  return html`<section class="card chart series-${index % SERIES}" ref=${ref} aria-label=${name}>
    <header class="chart-head">
      <h2><i class="swatch"></i><span title=${name}>${name}</span></h2>
      <${IconButton} icon=${table ? "activity" : "table-2"} small
        label=${t(table ? "chart.as_chart" : "chart.as_table")} aria-pressed=${table}
          onClick=${() => setTable(!table)} />
      <div class="chart-value number">${value}<small>${unit}</small>
        ${typeof under === "number" && html`<span class="chart-at">${clock(data[0][hover], true)}</span>`}</div>
      ${
        sums &&
        html`<dl class="chart-sums number" title=${agg && agg !== "raw" ? t("chart.thinned", { agg }) : undefined}>
        ${[
          ["low", sums.low],
          ["mean", sums.mean],
          ["high", sums.high],
        ].map(([term, number]) => html`<div><dt>${t(`chart.${term}`)}</dt><dd>${short(number)}</dd></div>`)}
      </dl>`
      }
    </header>
    <div class="chart-body" role=${table ? undefined : "img"} aria-label=${table ? undefined : (said ?? name)}>
      ${visible || points ? html`<${ChartBody} name=${name} points=${points} error=${error} table=${table}
        plot=${{ data, from, to, unit: unitOf(name), onHover: setHover, onZoom, onReset }} />` : null}
    </div>
  </section>`;
}

/** What is on the charts, every reading of it, as a file. The range is that of the moment of the click. */
function Download({ id, spanMs, zoom }) {
  const address = () => {
    const to = Math.ceil(zoom?.to ?? Date.now());
    const from = Math.floor(zoom?.from ?? to - spanMs);
    return `/api/readings?${new URLSearchParams({ device: id, from: String(from), to: String(to), agg: "raw", format: "csv" })}`;
  };
  return html`<a class="icon-button" href=${address()} download="${id}.csv" aria-label=${t("device.download")}
    title=${t("device.download")} onClick=${(event) => (event.currentTarget.href = address())}>
    <${Icon} name="download" /></a>`;
}

/** The range buttons and the charts of a device's numeric keys. */
export function Charts({ device }) {
  const asked = route.value.query.get("range");
  const [usual] = useState(() => (Date.now() - device.created < YOUNG_MS ? "5m" : DEFAULT_SPAN));
  const range = asked in SPANS ? asked : usual;
  const [zoom, setZoom] = useState(null);
  const keys = Object.keys(device.latest)
    .filter((key) => typeof device.latest[key].value === "number")
    .sort();
  const live = () => setZoom(null);
  if (!keys.length) {
    const any = Object.keys(device.latest).length > 0;
    return html`<div class="card"><${Empty} icon="activity"
      title=${t(any ? "charts.none_title" : "charts.empty_title")}><p>
        ${t(any ? "charts.none_text" : "charts.empty_text")}</p><//></div>`;
  }
  return html`<section aria-label=${t("charts.label")}>
    <div class="toolbar">
      <div class="chips-scroll"><div class="segments" role="group" aria-label=${t("charts.range")}>
        ${Object.keys(SPANS).map((each) => html`<button type="button" key=${each}
          aria-pressed=${!zoom && each === range}
            onClick=${() => (live(), setQuery({ range: each === usual ? null : each }))}>${t(`range.${each}`)}
            </button>`)}
      </div></div>
      ${
        zoom
          ? html`<button type="button" class="button small" onClick=${live}><${Icon} name="play" />${t("charts.resume")}
          </button>`
          : html`<span class="live-mark"><i></i>${t("charts.live")}</span>`
      }
      <span class="hint zoom-hint">${t("charts.zoom_hint")}</span>
      <${Download} id=${device.id} spanMs=${SPANS[range]} zoom=${zoom} />
    </div>
    <div class="charts">
      ${keys.map(
        (
          key,
          i,
        ) => html`<${ChartCard} key=${key} id=${device.id} name=${key} latest=${device.latest[key]} index=${i}
          spanMs=${SPANS[range]} zoom=${zoom}
        onZoom=${(from, to) => setZoom({ from, to })} onReset=${live} />`,
      )}
    </div>
  </section>`;
}
