// The device list: who is there, since when, and what they say.
import { html, useEffect, useMemo, useRef, useState } from "../vendor/preact.mjs";
import { mayAs } from "../core/api.mjs";
import { deviceIds, deviceSignal, deviceTotal, loadDevices, MAX_LISTED, presenceWord } from "../core/devices.mjs";
import { now, unitOf, valueParts } from "../core/format.mjs";
import { t } from "../core/i18n.mjs";
import { loadModule, whenIdle } from "../core/modules.mjs";
import { deviceHref, route, setQuery } from "../core/router.mjs";
import { Ago, Empty, Icon, Loading, Presence, Problem } from "../ui/elements.mjs";
import { Page, showDialog } from "../ui/shell.mjs";
import { Spark } from "../ui/spark.mjs";

const ROWS_AT_FIRST = 60;
const METRICS = 3;
const WORDS = ["online", "late", "offline", "never"];

/** Open the dialog that makes a device and waits for its first reading. */
const addDevice = () => showDialog(async () => (await loadModule("ui/add_device.mjs")).AddDeviceDialog);

/** The keys worth a place in the row: numbers whose unit the name tells, other numbers, then the rest. */
export function headlineKeys(latest) {
  const rank = (key) =>
    typeof latest[key].value !== "number" ? 2 : unitOf(key) && !unitOf(key).startsWith("B") ? 0 : 1;
  return Object.keys(latest)
    .sort((a, b) => rank(a) - rank(b) || a.localeCompare(b))
    .slice(0, METRICS);
}

/** Whether a device's name, id or labels hold every word of the filter. */
export function matches(device, filter) {
  const text = [device.name, device.id, ...Object.entries(device.labels).map(([k, v]) => `${k}:${v}`)]
    .join(" ")
    .toLowerCase();
  return filter
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}

function Metric({ id, name, latest, index }) {
  const [value, unit] = valueParts(name, latest.value);
  return html`<div class="metric">
    <div class="metric-text">
      <span class="metric-key" title=${name}>${name}</span>
      <span class="metric-value" title=${value}>${value}${unit && html`<small>${unit}</small>`}</span>
    </div>
    ${typeof latest.value === "number" && html`<${Spark} id=${id} name=${name} latest=${latest} series=${index} />`}
  </div>`;
}

// Rows out of sight stay as they were and follow nothing: 500 rows scrolled through, at 200 readings a second, took
// 90 % of a core in layout and paint, and take 26 % so. One observer for all, with some rows of margin.
const onSight = new WeakMap();
const sight = new IntersectionObserver(
  (entries) => entries.forEach((entry) => onSight.get(entry.target)?.(entry.isIntersecting)),
  {
    rootMargin: "300px",
  },
);

function Row({ id }) {
  const ref = useRef(null);
  const [inSight, setInSight] = useState(true);
  useEffect(() => {
    const row = ref.current;
    if (!row) return undefined;
    onSight.set(row, setInSight);
    sight.observe(row);
    return () => sight.unobserve(row);
  }, []);
  const device = inSight ? deviceSignal(id).value : deviceSignal(id).peek();
  if (!device) return null;
  const { connected, last_reading: read, last_seen: seen } = device.presence;
  const word = presenceWord(device.presence, inSight ? now.value : now.peek());
  const last = read ?? seen;
  return html`<tr ref=${ref} role="row" class=${word}>
    <td role="cell" class="col-name">
      <a class="device-name" href=${deviceHref(id)}>${device.name}</a>
      ${
        Object.keys(device.labels).length > 0 &&
        html`<div class="labels">
        ${Object.entries(device.labels).map(([key, value]) => html`<span class="chip" title="${key}: ${value}">
          ${key}: ${value}</span>`)}
      </div>`
      }
    </td>
    <td role="cell" class="col-presence"><${Presence} word=${word} /></td>
    <td role="cell" class="col-metrics">
      <div class="metrics">${headlineKeys(device.latest).map((key, i) => html`<${Metric} key=${key} id=${id} name=${key}
        latest=${device.latest[key]} index=${i} />`)}</div>
    </td>
    <td role="cell" class="col-seen soft">${last === null ? t("devices.never") : html`<${Ago} ts=${last} />`}</td>
    <td role="cell" class="col-from faint">${
      connected?.from === "local"
        ? t("fact.local")
        : connected &&
          html`<span class="number">${connected.from?.replace(/:\d+$/, "")}</span> <span class="chip">
            ${connected.dialect}</span>`
    }</td>
  </tr>`;
}

/** Rows in batches: the next ones when the end of the list comes into view. */
function useGrowing(length, reset) {
  const [limit, setLimit] = useState(ROWS_AT_FIRST);
  const end = useRef(null);
  useEffect(() => setLimit(ROWS_AT_FIRST), [reset]);
  useEffect(() => {
    if (!end.current) return undefined;
    const seen = new IntersectionObserver(([entry]) => entry.isIntersecting && setLimit((n) => n + ROWS_AT_FIRST), {
      rootMargin: "600px",
    });
    seen.observe(end.current);
    return () => seen.disconnect();
  }, [limit < length, limit]);
  return [limit, end];
}

function Table({ ids, filter }) {
  const [limit, end] = useGrowing(ids.length, filter);
  return html`<div class="card">
    <table class="devices" role="table">
      <thead role="rowgroup"><tr role="row">
        <th scope="col" role="columnheader" class="col-name">${t("devices.col_name")}</th>
        <th scope="col" role="columnheader" class="col-presence">${t("devices.col_presence")}</th>
        <th scope="col" role="columnheader" class="col-metrics">${t("devices.col_values")}</th>
        <th scope="col" role="columnheader" class="col-seen">${t("devices.col_seen")}</th>
        <th scope="col" role="columnheader" class="col-from">${t("devices.col_from")}</th>
      </tr></thead>
      <tbody role="rowgroup">${ids.slice(0, limit).map((id) => html`<${Row} key=${id} id=${id} />`)}</tbody>
    </table>
    ${limit < ids.length && html`<div class="list-foot" ref=${end}>${t("devices.more", { n: ids.length - limit })}
    </div>`}
    ${ids.length >= MAX_LISTED && html`<div class="list-foot">${t("devices.first_only", { n: MAX_LISTED })}</div>`}
  </div>`;
}

function PresenceFilter({ counts, total, chosen }) {
  const choices = [["", total], ...WORDS.map((word) => [word, counts[word]])].filter(
    ([word, n]) => !word || n || word === chosen,
  );
  return html`<div class="chips-scroll" role="group" aria-label=${t("devices.filter_presence")}><div class="segments">
    ${choices.map(
      ([
        word,
        n,
      ]) => html`<button type="button" key=${word} aria-pressed=${chosen === word}
        onClick=${() => setQuery({ is: word })}>
      ${word ? t(`presence.${word}`) : t("devices.all")} <span class="count">${n}</span>
    </button>`,
    )}
  </div></div>`;
}

function useDevices(filter) {
  const [error, setError] = useState(null);
  // Above what is held here the server searches; typing waits a moment then.
  const search = deviceTotal.value > MAX_LISTED ? filter : "";
  useEffect(() => {
    const timer = setTimeout(() => loadDevices(search).then(() => setError(null), setError), search ? 250 : 0);
    return () => clearTimeout(timer);
  }, [search]);
  return error;
}

/** What stands above the list for who may adopt: fetched behind the list, which needs none of it. */
function Unknown() {
  const [found, setFound] = useState(null);
  useEffect(() => {
    let current = true;
    whenIdle(() =>
      loadModule("ui/unknown_devices.mjs").then(
        (module) => current && setFound(module),
        () => {}, // the server is away, and the list says so
      ),
    );
    return () => (current = false);
  }, []);
  return found && html`<${found.UnknownDevices} />`;
}

/** `n` opens the dialog, where adding is allowed. */
function useAddKey(mayAdd) {
  useEffect(() => {
    const onKeyDown = (event) => {
      if (event.key !== "n" || event.ctrlKey || event.metaKey || event.altKey || !mayAdd) return;
      if (event.target.closest?.("input, textarea, select") || document.querySelector("dialog[open]")) return;
      event.preventDefault();
      addDevice();
    };
    document.addEventListener("keydown", onKeyDown);
    return () => document.removeEventListener("keydown", onKeyDown);
  }, [mayAdd]);
}

/** `[words, counts]`: id → presence word, and how many there are of each word. */
function usePresenceWords(ids) {
  // Counted on each tick, and not on each reading: a row follows its own device, the list only the words.
  return useMemo(() => {
    const words = new Map();
    const counts = { online: 0, late: 0, offline: 0, never: 0 };
    for (const id of ids ?? []) {
      const device = deviceSignal(id).peek();
      if (!device) continue;
      const word = presenceWord(device.presence, now.value);
      words.set(id, word);
      counts[word] += 1;
    }
    return [words, counts];
  }, [ids, now.value]);
}

function FilterBox({ filter }) {
  const onKeyDown = (event) => {
    if (event.key !== "Escape") return;
    setQuery({ q: "" });
    event.target.blur();
  };
  return html`<div class="search">
    <${Icon} name="search" />
    <input class="input" type="search" data-filter aria-label=${t("devices.filter")} placeholder=${t("devices.filter")}
      value=${filter} onInput=${(event) => setQuery({ q: event.target.value })} onKeyDown=${onKeyDown} />
    <kbd aria-hidden="true">/</kbd>
  </div>`;
}

export default function DevicesPage() {
  const filter = route.value.query.get("q") ?? "";
  const chosen = route.value.query.get("is") ?? "";
  const error = useDevices(filter);
  const all = deviceIds.value;
  const [words, counts] = usePresenceWords(all);
  const mayAdd = mayAs("operator");
  const title = t("nav.devices");
  useAddKey(mayAdd);
  useEffect(() => void (document.title = `${title} · Hardpoint`), [title]);

  if (all === null) return html`<${Page}>${error ? html`<${Problem} error=${error} />` : html`<${Loading} />`}<//>`;
  const shown = all.filter(
    (id) =>
      words.has(id) && (!chosen || words.get(id) === chosen) && (!filter || matches(deviceSignal(id).peek(), filter)),
  );
  const add =
    mayAdd &&
    html`<button type="button" class="button primary" onClick=${addDevice}>
      <${Icon} name="plus" />${t("devices.add")}
    </button>`;

  if (all.length === 0 && !filter) {
    return html`<${Page}><div class="card">
      <${Empty} icon="cpu" heading="h1" title=${t("devices.empty_title")}><p>${t("devices.empty_text")}</p>${add}<//>
    </div>${mayAdd && html`<${Unknown} />`}<//>`;
  }
  return html`<${Page}>
    <div class="page-head"><h1>${t("nav.devices")}</h1>${add}</div>
    ${mayAdd && html`<${Unknown} />`}
    <div class="toolbar">
      <${FilterBox} filter=${filter} />
      <${PresenceFilter} counts=${counts} total=${words.size} chosen=${chosen} />
    </div>
    ${
      shown.length
        ? html`<${Table} ids=${shown} filter=${filter + chosen} />`
        : html`<div class="card"><${Empty} icon="search" title=${t("devices.nothing_title")}>
          <p>${t("devices.nothing_text")}</p>
          <button type="button" class="button" onClick=${() => setQuery({ q: "", is: "" })}>
            ${t("devices.clear")}
          </button>
        <//></div>`
    }
  <//>`;
}
