// The devices as a table that holds thousands of rows: only those near the screen are there, the rest is an empty height.
import { computed, html, signal, useLayoutEffect, useMemo } from "../../vendor/preact.mjs";
import { mayAs } from "../../core/api.mjs";
import { deviceSignal, presenceWord } from "../../core/devices.mjs";
import { absolute, now, valueParts } from "../../core/format.mjs";
import { t } from "../../core/i18n.mjs";
import { firingAlerts } from "../../core/live.mjs";
import { recall, remember, singleKeys } from "../../core/preferences.mjs";
import { deviceHref, setQuery } from "../../core/router.mjs";
import { Ago, Presence } from "../../ui/elements.mjs";
import { Badge } from "../../ui/shell.mjs";
import { inParts, useNear } from "./near.mjs";
import { Values } from "./values.mjs";

/**
 * Rows come and go in bodies of so many: few, for all of a body is drawn in one task, and rows that nobody sees follow
 * their devices as well; not single ones, for a body out of sight costs an element and a place for the observer.
 */
const BODY_ROWS = 8;
const ROW_PX = 72;
export const WORDS = ["online", "late", "offline", "never"];

// What a column may be called besides `key:<key>` and `label:<label>`, and the room it takes.
const WIDTHS = {
  presence: "124px",
  values: "minmax(0, 3fr)",
  seen: "124px",
  from: "176px",
  id: "minmax(100px, 0.8fr)",
  created: "minmax(110px, 0.8fr)",
};
export const COLUMNS = Object.keys(WIDTHS);
const OWN_WIDTH = "minmax(90px, 1fr)";
export const MOST_COLUMNS = 8;

const wide = matchMedia("(min-width: 1121px)");
const isWide = signal(wide.matches);
wide.addEventListener("change", () => (isWide.value = wide.matches));

/** `table` or `grid`: how the list is shown, in this browser. */
export const listView = signal(recall("list", "table") === "grid" ? "grid" : "table");

export function chooseView(view) {
  listView.value = view;
  remember("list", view);
}

/** The columns that the person chose, or `null`: the usual ones. */
export const chosenColumns = signal(stored());

function stored() {
  try {
    const found = JSON.parse(recall("columns", "null"));
    const known = (name) => typeof name === "string" && (name in WIDTHS || /^(key|label):./.test(name));
    return Array.isArray(found) && found.every(known) ? found.slice(0, MOST_COLUMNS) : null;
  } catch {
    return null;
  }
}

/** Choose columns, in this browser; `null` for the usual ones. */
export function chooseColumns(names) {
  chosenColumns.value = names;
  remember("columns", JSON.stringify(names));
}

/** The columns on screen. */
export const columns = () =>
  chosenColumns.value ?? (isWide.value ? ["presence", "values", "seen", "from"] : ["presence", "values", "seen"]);

/** A column's head. */
export const columnTitle = (name) =>
  name in WIDTHS ? t(`devices.col_${name}`) : name.slice(name.indexOf(":") + 1);

const byText = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" }).compare;

/** What a device is sorted by in a column; `undefined` where it has nothing there, which comes last in either order. */
function sortValue(device, name, at) {
  const { connected, last_reading: read, last_seen: seen } = device.presence;
  if (name.startsWith("key:")) return device.latest[name.slice(4)]?.value ?? undefined;
  if (name.startsWith("label:")) return device.labels[name.slice(6)];
  return {
    name: device.name,
    id: device.id,
    created: device.created,
    presence: WORDS.indexOf(presenceWord(device.presence, at)),
    seen: read ?? seen ?? undefined,
    from: connected?.from,
  }[name];
}

/** Ids in the order of a column; a `-` in front turns it round. Devices that are alike there stay as they were. */
export function sorted(ids, sort, at) {
  const [name, sign] = sort.startsWith("-") ? [sort.slice(1), -1] : [sort, 1];
  const values = new Map(ids.map((id) => [id, sortValue(deviceSignal(id).peek(), name, at)]));
  return ids.toSorted((one, other) => {
    const [a, b] = [values.get(one), values.get(other)];
    if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
    return sign * (typeof a === "number" && typeof b === "number" ? a - b : byText(String(a), String(b)));
  });
}

/** The ids that are selected. */
export const selected = signal(new Set());

/** Select or unselect ids. */
export function select(ids, on) {
  const next = new Set(selected.peek());
  ids.forEach((id) => (on ? next.add(id) : next.delete(id)));
  selected.value = next;
}

/** Unselect all but these. */
export function selectOnly(ids) {
  const kept = new Set(ids);
  const gone = [...selected.peek()].filter((id) => !kept.has(id));
  if (gone.length) select(gone, false);
}

/** Device id → its alerts that fire. */
const firingOf = computed(() => {
  const found = new Map();
  for (const alert of firingAlerts.value ?? []) found.set(alert.device, [...(found.get(alert.device) ?? []), alert]);
  return found;
});

function From({ connected }) {
  if (!connected) return null;
  if (connected.from === "local")
    return connected.dialect === "simulated"
      ? html`<span class="chip">${t("connect.simulated")}</span>`
      : t("fact.local");
  return html`<span class="number">${connected.from?.replace(/:\d+$/, "")}</span> <span class="chip">
    ${connected.dialect}</span>`;
}

function OwnKey({ device, name }) {
  const latest = device.latest[name];
  if (!latest) return html`<span class="faint">–</span>`;
  const [value, unit] = valueParts(name, latest.value, device.fields);
  return html`<span class="metric-value" title=${value}>${value}${unit && html`<small>${unit}</small>`}</span>`;
}

function content(name, device, word) {
  const { connected, last_reading: read, last_seen: seen } = device.presence;
  const last = read ?? seen;
  if (name.startsWith("key:")) return html`<${OwnKey} device=${device} name=${name.slice(4)} />`;
  if (name.startsWith("label:")) return device.labels[name.slice(6)] ?? html`<span class="faint">–</span>`;
  return {
    presence: () => html`<${Presence} word=${word} />`,
    values: () => html`<${Values} device=${device} />`,
    seen: () => (last === null ? t("devices.never") : html`<${Ago} ts=${last} />`),
    from: () => html`<${From} connected=${connected} />`,
    id: () => html`<span class="mono">${device.id}</span>`,
    created: () => html`<span class="number" title=${absolute(device.created)}>${absolute(device.created)}</span>`,
  }[name]();
}

const cellClass = (name) => (name in WIDTHS ? `col-${name}` : "col-own");

function Row({ id, index, names, maySelect }) {
  const device = deviceSignal(id).value;
  if (!device) return null;
  const word = presenceWord(device.presence, now.value);
  const labels = Object.entries(device.labels).filter(([key]) => !names.includes(`label:${key}`));
  const isSelected = maySelect && selected.value.has(id);
  return html`<tr role="row" aria-rowindex=${index + 2} class="${word} ${isSelected ? "selected" : ""}"
    aria-selected=${maySelect ? isSelected : undefined} data-id=${id}>
    ${
      maySelect &&
      html`<td role="cell" class="col-select"><input type="checkbox" aria-label=${t("devices.select", {
        name: device.name,
      })} checked=${isSelected} onChange=${(event) => select([id], event.target.checked)} /></td>`
    }
    <td role="cell" class="col-name">
      <a class="device-name" href=${deviceHref(id)}>${device.name}</a>${" "}<${Badge} firing=${firingOf.value.get(id)} />
      ${
        labels.length > 0 &&
        html`<div class="labels">
        ${labels.map(([key, value]) => html`<span class="chip" title="${key}: ${value}">${key}: ${value}</span>`)}
      </div>`
      }
    </td>
    ${names.map((name) => html`<td role="cell" key=${name} class=${cellClass(name)}
      data-title=${columnTitle(name)}>${content(name, device, word)}</td>`)}
  </tr>`;
}

/** Some rows, or the height that they had where they are out of sight: they then follow nothing and cost nothing. */
function Body({ ids, start, names, maySelect }) {
  const { ref, near, style } = useNear(start === 0, ids.length * ROW_PX);
  return html`<tbody role="rowgroup" ref=${ref} style=${style}>
    ${near && ids.map((id, i) => html`<${Row} key=${id} id=${id} index=${start + i} names=${names}
      maySelect=${maySelect} />`)}</tbody>`;
}

function Head({ name, sort, label }) {
  const direction = sort === name ? "ascending" : sort === `-${name}` ? "descending" : undefined;
  // By name ascending is how the list is without a word.
  const next = direction === "ascending" ? `-${name}` : name === "name" ? null : name;
  return html`<th scope="col" role="columnheader" class=${name === "name" ? "col-name" : cellClass(name)}
    aria-sort=${direction}>${
      name === "values"
        ? label
        : html`<button type="button" class="sort" onClick=${() => setQuery({ sort: next })}>
          ${label}<span class="sort-mark" aria-hidden="true">${direction ? (direction === "ascending" ? "↑" : "↓") : ""}
          </span></button>`
    }</th>`;
}

/**
 * `j` and `k` go through the rows or cards, `x` selects. It listens from the layout effect on, as all keys do: whoever
 * sees the rows may press one, and what follows the painting comes later than that.
 */
export function onListKey(event) {
  if (singleKeys.peek() === "off") return;
  const typing = event.target.closest?.("input:not([type=checkbox]), textarea, select");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const links = [...document.querySelectorAll("[data-id] .device-name")];
  const row = document.activeElement.closest?.("[data-id]");
  if (event.key === "j" || event.key === "k") {
    const at = row ? links.indexOf(row.querySelector(".device-name")) : -1;
    links[event.key === "j" ? Math.min(at + 1, links.length - 1) : Math.max(at - 1, 0)]?.focus();
  } else if (event.key === "x" && row && mayAs("operator")) {
    select([row.dataset.id], !selected.peek().has(row.dataset.id));
  }
}

/**
 * The rows of `ids` in this order. `sort` is the column that they are sorted by. `j`, `k` and `x` are its keys. `wrong`:
 * they are not what the filter box says, and cannot be selected all at once.
 */
export function Table({ ids, sort, wrong }) {
  const names = columns();
  const maySelect = mayAs("operator");
  const bodies = useMemo(() => inParts(ids, BODY_ROWS), [ids]);
  useLayoutEffect(() => {
    document.addEventListener("keydown", onListKey);
    return () => document.removeEventListener("keydown", onListKey);
  }, []);
  const some = maySelect && ids.some((id) => selected.value.has(id));
  const every = some && ids.every((id) => selected.value.has(id));
  const template = [
    ...(maySelect ? ["44px"] : []),
    names.includes("values") ? "21%" : "minmax(140px, 1.4fr)",
    ...names.map((name) => WIDTHS[name] ?? OWN_WIDTH),
  ].join(" ");
  return html`<table class="devices ${maySelect ? "selectable" : ""}" role="table" aria-rowcount=${ids.length + 1}
    style=${{ "--columns": template }}>
    <thead role="rowgroup"><tr role="row" aria-rowindex="1">
      ${
        maySelect &&
        html`<th scope="col" role="columnheader" class="col-select"><input type="checkbox"
          aria-label=${t("devices.select_all")} checked=${every} indeterminate=${some && !every} disabled=${Boolean(wrong)}
            onChange=${() => select(ids, !every)} /></th>`
      }
      <${Head} name="name" sort=${sort} label=${t("devices.col_name")} />
      ${names.map((name) => html`<${Head} key=${name} name=${name} sort=${sort} label=${columnTitle(name)} />`)}
    </tr></thead>
    ${bodies.map(([start, some]) => html`<${Body} key=${start} ids=${some} start=${start} names=${names}
      maySelect=${maySelect} />`)}
  </table>`;
}
