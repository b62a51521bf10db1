// Live charts of a device's numbers, one a unit, which share the time axis and the crosshair, and strips of its states.
import { html, useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from "../../vendor/preact.mjs";
import { mayAs } from "../../core/api.mjs";
import {
  absolute, clock, duration, fromWallClock, labelOf, now, shownUnit, toWallClock, unitOf, valueParts,
} from "../../core/format.mjs";
import { t } from "../../core/i18n.mjs";
import { singleKeys } from "../../core/preferences.mjs";
import { route, setQuery } from "../../core/router.mjs";
import { Dialog } from "../../ui/dialog.mjs";
import { Empty, Icon, IconButton } from "../../ui/elements.mjs";
import { showDialog } from "../../ui/shell.mjs";
import { markAt, marksSaid, marksWithin, NEAR_PX, useMarks } from "./markers.mjs";
import { pinChart } from "./pinning.mjs";
import { columnsOf, Plot } from "./plot.mjs";
import { BAND_POINTS, useReadings } from "./readings.mjs";
import { isState, StateStrips } from "./states.mjs";
import { useVisible } from "./visible.mjs";

const MINUTE = 60_000;
const SPANS = {
  "5m": 5 * MINUTE,
  "15m": 15 * MINUTE,
  "1h": 60 * MINUTE,
  "6h": 360 * MINUTE,
  "24h": 1_440 * MINUTE,
  "7d": 10_080 * MINUTE,
  "30d": 43_200 * MINUTE,
};
const DEFAULT_SPAN = "1h";
const LEAST_SPAN_MS = 1_000;
/**
 * The span a device opens with by its age, ms: a young one with the shortest that holds all its life, and a quarter
 * more to watch it in. An hour with one minute in it looks empty, and its last five minutes may be so.
 */
const usualSpan = (age) => ["5m", "15m"].find((span) => age * 1.25 < SPANS[span]) ?? DEFAULT_SPAN;
const TABLE_ROWS = 20;
/** More lines than this in one chart cannot be told apart; also the number of colours. */
const MOST_LINES = 8;
const PLACES = Array.from({ length: MOST_LINES }, (_, place) => place);

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

/** Keys in groups that one axis serves: those of one unit together, those of no known unit alone. */
export function byUnit(keys, unit = unitOf) {
  const groups = new Map();
  for (const key of keys) {
    let name = unit(key) || `\0${key}`;
    while (groups.get(name)?.length === MOST_LINES) name += "\0";
    if (!groups.has(name)) groups.set(name, []);
    groups.get(name).push(key);
  }
  return [...groups.values()];
}

const words = (key, value, fields) => valueParts(key, value, fields).join(" ").trim();

function Table({ series, fields }) {
  const rows = series
    .flatMap(({ key, points }) => (points ?? []).slice(-TABLE_ROWS).map(([ts, value]) => ({ ts, key, value })))
    .sort((a, b) => b.ts - a.ts)
    .slice(0, TABLE_ROWS);
  const many = series.length > 1;
  const unit = shownUnit(unitOf(series[0].key, fields));
  return html`<div class="chart-table" tabindex="0"><table>
    <thead><tr><th scope="col">${t("chart.time")}</th>${many && html`<th scope="col">${t("data.key")}</th>`}
      <th scope="col">${many ? t("data.value") : labelOf(series[0].key, fields)}${unit && ` (${unit})`}</th></tr></thead>
    <tbody>${rows.map(
      ({ ts, key, value }) => html`<tr key=${`${ts} ${key}`}><td>${absolute(ts)}</td>
        ${many && html`<td>${labelOf(key, fields)}</td>`}<td class="number">${valueParts(key, value, fields)[0]}</td></tr>`,
    )}</tbody>
  </table></div>`;
}

/** The lines of a chart by name: each with its value now, or under the crosshair; a click shows it or hides it. */
function Legend({ series, hidden, under, onToggle, fields }) {
  return html`<ul class="legend">${series.map(({ key, latest, place }) => {
    const value = under === null ? latest.value : under(key);
    return html`<li key=${key} class="series-${place}"><button type="button" aria-pressed=${!hidden.has(key)}
      title=${t("chart.toggle", { key })} onClick=${(event) => onToggle(key, event.altKey)}>
        <i class="swatch"></i><span>${labelOf(key, fields)}</span>
        <strong class="number">${value === null || value === undefined ? "–" : words(key, value, fields)}</strong></button></li>`;
  })}</ul>`;
}

function Sums({ name, points, band, spanMs, fields }) {
  const sums = useMemo(() => summary(points), [points]);
  if (!sums) return null;
  const low = Math.min(sums.low, ...band.map((each) => each[1] ?? Infinity));
  const high = Math.max(sums.high, ...band.map((each) => each[2] ?? -Infinity));
  const unit = unitOf(name, fields);
  const short = (number) => (unit.startsWith("B") ? words(name, number, fields) : valueParts(name, number, fields)[0]);
  const title = band.length ? t("chart.band", { width: duration(spanMs / 1_000 / BAND_POINTS) }) : undefined;
  return html`<dl class="chart-sums number" title=${title}>
    ${[
      ["low", low],
      ["mean", sums.mean],
      ["high", high],
    ].map(([term, number]) => html`<div><dt>${t(`chart.${term}`)}</dt><dd>${short(number)}</dd></div>`)}
  </dl>`;
}

/** What a reader who cannot see the chart is told. */
const said = (series, fields) =>
  series
    .map(({ key, points, latest }) => {
      const sums = summary(points);
      return (
        sums &&
        t("chart.summary", {
          key: labelOf(key, fields),
          low: words(key, sums.low, fields),
          high: words(key, sums.high, fields),
          now: words(key, latest.value, fields),
        })
      );
    })
    .filter(Boolean)
    .join(" ");

function ChartCard({ device, keys, first, spanMs, zoom, onZoom, onReset, marks: all }) {
  const { id, latest, fields } = device;
  const ref = useRef(null);
  const chart = useRef(null);
  const [hover, setHover] = useState(null);
  const [table, setTable] = useState(false);
  const [hidden, setHidden] = useState(new Set());
  const visible = useVisible(ref);
  // Hooks are called for each place, whether there is a key or not.
  const found = PLACES.map((place) =>
    useReadings(id, keys[place] ?? "", { spanMs, zoom, visible: visible && place < keys.length, band: true }),
  );
  const series = keys.map((key, n) => ({ key, latest: latest[key], place: (first + n) % MOST_LINES, ...found[n] }));
  const shown = series.filter(({ key }) => !hidden.has(key));
  const data = useMemo(
    () => columnsOf(shown),
    [hidden, ...PLACES.flatMap((place) => [found[place].points, found[place].band])],
  );
  const to = zoom?.to ?? Math.max(now.value, ...series.map(({ points }) => points?.at(-1)?.[0] ?? 0));
  const from = zoom?.from ?? to - spanMs;
  const marks = useMemo(() => marksWithin(all, from, to, keys), [all, from, to, keys]);
  const unit = unitOf(keys[0], fields);
  const alone = keys.length === 1;
  const name = alone ? labelOf(keys[0], fields) : unit;
  const under =
    hover === null ? null : (key) => data[1 + 3 * shown.findIndex((each) => each.key === key)]?.[hover] ?? null;
  const toggle = (key, solo) => {
    const others = keys.filter((each) => each !== key);
    const isSolo = !hidden.has(key) && others.every((each) => hidden.has(each));
    if (solo) setHidden(new Set(isSolo ? [] : others));
    else setHidden((before) => new Set(before.has(key) ? [...before].filter((each) => each !== key) : [...before, key]));
  };
  const onKeyDown = (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by || event.target !== event.currentTarget) return;
    event.preventDefault();
    chart.current?.step(event.shiftKey ? by * 10 : by);
  };
  const failed = series.find(({ error, points }) => error && !points)?.error;
  const body = failed
    ? html`<p class="chart-note">${failed.text}</p>`
    : series.some(({ points }) => !points)
      ? html`<div class="chart-note" role="status"><${Icon} name="refresh-cw" spin /><span class="visually-hidden">
        ${t("state.loading")}</span></div>`
      : !series.some(({ points }) => points.length)
        ? html`<p class="chart-note">${t("chart.none")}</p>`
        : table
          ? html`<${Table} series=${shown} fields=${fields} />`
          : html`<${Plot} data=${data} from=${from} to=${to} unit=${unit} places=${shown.map(({ place }) => place)} marks=${marks}
              onHover=${setHover} onZoom=${onZoom} onReset=${onReset} keys=${chart} />`;
  const at = hover !== null && data[0][hover];
  const mark = at ? markAt(marks, at, ((to - from) / (ref.current?.clientWidth || 1)) * NEAR_PX) : null;
  const value = alone ? ((under && under(keys[0])) ?? series[0].latest.value) : null;
  return html`<section class="card chart series-${series[0].place} ${alone ? "" : "many"}" ref=${ref}
    aria-label=${keys.map((key) => labelOf(key, fields)).join(", ")}>
    <header class="chart-head">
      <h2>${alone && html`<i class="swatch"></i>`}<span title=${keys.join(", ")}>${name}</span></h2>
      <span class="chart-acts">
        ${mayAs("operator") && html`<${IconButton} icon="pin" small label=${t("pin.chart", { name })}
          onClick=${() => pinChart(device, shown.length ? shown.map(({ key }) => key) : keys, to - from)} />`}
        <${IconButton} icon=${table ? "activity" : "table-2"} small
          label=${t(table ? "chart.as_chart" : "chart.as_table")} aria-pressed=${table}
            onClick=${() => setTable(!table)} />
      </span>
      ${
        alone &&
        html`<div class="chart-value number">${valueParts(keys[0], value, fields)[0]}
        <small>${valueParts(keys[0], value, fields)[1]}</small>
        ${at && html`<span class="chart-at">${clock(at, true)}</span>`}</div>
        ${mark ? html`<p class="chart-mark" title=${mark}>${mark}</p>` : html`<${Sums} name=${keys[0]} fields=${fields} points=${series[0].points} band=${series[0].band} spanMs=${to - from} />`}`
      }
      ${!alone && html`<span class="chart-at number">${mark ?? (at ? clock(at, true) : "")}</span>`}
    </header>
    ${!alone && html`<${Legend} series=${series} hidden=${hidden} under=${under} onToggle=${toggle}
      fields=${fields} />`}
    <div class="chart-body" role=${table ? undefined : "img"} aria-label=${table ? undefined : [said(shown, fields) || name, marksSaid(marks)].filter(Boolean).join(". ")}
      tabindex=${table ? undefined : 0} onKeyDown=${onKeyDown}>${visible || series[0].points ? body : null}</div>
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

/** A range by its two ends. */
function RangeDialog({ from, to, onChoose, onClose }) {
  const ids = [useId(), useId()];
  const [ends, setEnds] = useState([toWallClock(from), toWallClock(to)]);
  const times = ends.map(fromWallClock);
  const wrong = !(times[1] - times[0] >= LEAST_SPAN_MS);
  const submit = (event) => (event.preventDefault(), onChoose(...times), onClose());
  return html`<${Dialog} title=${t("range.custom")} onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      ${["range.from", "range.to"].map(
        (label, n) => html`<div class="field" key=${label}><label for=${ids[n]}>${t(label)}</label>
          <input class="input" type="datetime-local" id=${ids[n]} required data-focus=${n ? undefined : true}
            value=${ends[n]} onInput=${(e) => setEnds(ends.with(n, e.target.value))} /></div>`,
      )}
      <div class="dialog-foot"><button class="button primary" disabled=${wrong}>${t("range.show")}</button></div>
    </form>
  <//>`;
}

/** `{from, to}` of the address, which can be shared, or `null`: live. */
function useZoom() {
  const { query } = route.value;
  const [from, to] = [Number(query.get("from")), Number(query.get("to"))];
  return useMemo(() => (from > 0 && to - from >= LEAST_SPAN_MS ? { from, to } : null), [from, to]);
}

const zoomTo = (from, to) => setQuery({ from: String(Math.floor(from)), to: String(Math.ceil(to)) });
const goLive = () => setQuery({ from: null, to: null });

/**
 * `[` and `]` go back and forth by half of what is seen, `-` and `+` zoom, `0` goes back to live, `l` stops the charts
 * where they are and lets them go on.
 */
function useRangeKeys(from, to, toggleLive) {
  useLayoutEffect(() => {
    const onKeyDown = (event) => {
      if (singleKeys.peek() === "off") return;
      if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input, textarea, select")) return;
      if (document.querySelector("dialog[open]")) return;
      const half = (to - from) / 2;
      const ranges = {
        "[": () => zoomTo(from - half, to - half),
        "]": () => (to + half >= Date.now() ? goLive() : zoomTo(from + half, to + half)),
        "-": () => zoomTo(from - half, to + half),
        "+": () => half > LEAST_SPAN_MS && zoomTo(from + half / 2, to - half / 2),
        "=": () => ranges["+"](), // the same key without shift on many keyboards
        0: goLive,
        l: toggleLive,
      };
      ranges[event.key]?.();
    };
    document.addEventListener("keydown", onKeyDown);
    return () => document.removeEventListener("keydown", onKeyDown);
  });
}

/** The range buttons, the charts of a device's numeric keys, and the strips of those that are states. */
export function Charts({ device }) {
  const asked = route.value.query.get("range");
  const [usual] = useState(() => usualSpan(Date.now() - device.created));
  const range = asked in SPANS ? asked : usual;
  const zoom = useZoom();
  const [from, to] = zoom ? [zoom.from, zoom.to] : [Date.now() - SPANS[range], Date.now()];
  const toggleLive = () => (zoom ? goLive() : zoomTo(Date.now() - SPANS[range], Date.now()));
  useRangeKeys(from, to, toggleLive);
  const marks = useMarks(device.id);
  const keys = Object.keys(device.latest)
    .filter((key) => typeof device.latest[key].value === "number")
    .sort();
  const names = keys.join("\n");
  const groups = useMemo(() => byUnit(keys, (key) => unitOf(key, device.fields)), [names, device.fields]);
  const states = Object.keys(device.latest)
    .filter((key) => isState(device.latest[key].value))
    .sort();
  if (!keys.length && !states.length) {
    const any = Object.keys(device.latest).length > 0;
    return html`<div class="card"><${Empty} icon="activity"
      title=${t(any ? "charts.none_title" : "charts.empty_title")}><p>
        ${t(any ? "charts.none_text" : "charts.empty_text")}</p><//></div>`;
  }
  const custom = () => showDialog(() => RangeDialog, { from, to, onChoose: zoomTo });
  return html`<section aria-label=${t("charts.label")}>
    <div class="toolbar">
      <div class="chips-scroll"><div class="segments" role="group" aria-label=${t("charts.range")}>
        ${Object.keys(SPANS).map((each) => html`<button type="button" key=${each}
          aria-pressed=${!zoom && each === range}
            onClick=${() => setQuery({ range: each === usual ? null : each, from: null, to: null })}>
            ${t(`range.${each}`)}</button>`)}
        <button type="button" aria-pressed=${Boolean(zoom)} onClick=${custom}>${t("range.custom")}</button>
      </div></div>
      ${
        zoom
          ? html`<button type="button" class="button small" onClick=${goLive}><${Icon} name="play" />
            ${t("charts.resume")}</button>`
          : html`<button type="button" class="live-mark" aria-pressed="true" title=${t("charts.pause")}
            onClick=${toggleLive}><i></i>${t("charts.live")}</button>`
      }
      <span class="hint zoom-hint">${t("charts.zoom_hint")}</span>
      <${Download} id=${device.id} spanMs=${SPANS[range]} zoom=${zoom} />
    </div>
    <div class="charts">
      ${groups.map(
        (group) => html`<${ChartCard} key=${group[0]} device=${device} keys=${group}
          first=${keys.indexOf(group[0])} spanMs=${SPANS[range]} zoom=${zoom} onZoom=${zoomTo} onReset=${goLive} marks=${marks} />`,
      )}
    </div>
    ${states.length > 0 && html`<${StateStrips} device=${device} keys=${states} spanMs=${SPANS[range]} zoom=${zoom} />`}
  </section>`;
}
