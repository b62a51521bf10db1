// The device list: who is there, since when, and what they say.
import { html, signal, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../vendor/preact.mjs";
import { mayAs } from "../core/api.mjs";
import { deviceIds, deviceSignal, deviceTotal, loadDevices, MAX_LISTED, presenceWord } from "../core/devices.mjs";
import { now } from "../core/format.mjs";
import { t } from "../core/i18n.mjs";
import { singleKeys } from "../core/preferences.mjs";
import { loadModule, whenIdle } from "../core/modules.mjs";
import { route, setQuery } from "../core/router.mjs";
import { Empty, Icon, IconButton, Loading, Problem } from "../ui/elements.mjs";
import { Page, showDialog } from "../ui/shell.mjs";
import { chooseView, listView, selected, selectOnly, sorted, Table, WORDS } from "./devices/table.mjs";

const TYPING_MS = 250;
/** What the server filtered for us is asked for anew: time alone may change it. */
const REFILTER_MS = 15_000;
const everything = () => true;
const VIEWS = [
  ["table", "list"],
  ["grid", "layout-grid"],
];

/** Open the dialog that makes a device and waits for its first reading. */
const addDevice = () => showDialog(async () => (await loadModule("ui/add_device.mjs")).AddDeviceDialog);
const showColumns = () => showDialog(async () => (await loadModule("pages/devices/columns.mjs")).ColumnsDialog);
const showFilterHelp = () => showDialog(async () => (await loadModule("pages/devices/filter_help.mjs")).FilterHelp);

// Few lists are ever filtered, and no first view has to wait for the filter's grammar.
const grammar = signal(null);
const loadGrammar = () => loadModule("core/filter.mjs").then((module) => (grammar.value = module));

/**
 * `{holds, error}` of a filter's text: while it is wrong, what it held before goes on. `holds` is `null` where nothing is
 * known of it yet: then nothing may be listed, for what is listed can be selected and deleted.
 */
function useFilter(text) {
  const before = useRef(null);
  const [away, setAway] = useState(null);
  const read = grammar.value;
  useEffect(() => void (text.trim() && !read && loadGrammar().catch(setAway)), [text, read]);
  return useMemo(() => {
    if (!text.trim()) before.current = everything;
    else if (!read) return { holds: null, error: away?.text ?? null };
    else {
      try {
        before.current = read.parseFilter(text);
      } catch (error) {
        if (!error.params) throw error;
        return { holds: before.current, error: t(`filter.${error.code}`, error.params) };
      }
    }
    return { holds: before.current, error: null };
  }, [text, read, away]);
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

/** Fetch the list; above what is held here the server filters, where the filter is one. */
function useDevices(filter, isWrong) {
  const [error, setError] = useState(null);
  const asked = deviceTotal.value > MAX_LISTED && !isWrong ? filter : "";
  useEffect(() => {
    const load = () => loadDevices(asked).then(() => setError(null), setError);
    const timer = setTimeout(load, asked ? TYPING_MS : 0);
    const again = asked && setInterval(load, REFILTER_MS);
    return () => (clearTimeout(timer), clearInterval(again));
  }, [asked]);
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
  useLayoutEffect(() => {
    const onKeyDown = (event) => {
      if (event.key !== "n" || singleKeys.peek() === "off" || event.ctrlKey || event.metaKey || event.altKey || !mayAdd) return;
      if (event.target.closest?.("input:not([type=checkbox]), textarea, select")) return;
      if (document.querySelector("dialog[open]")) return;
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

/** What is typed stays as it was typed; the address has its temperatures with their units. */
function FilterBox({ filter, error }) {
  const [typed, setTyped] = useState("");
  const said = (text) => grammar.value?.withUnits(text) ?? text;
  const whole = said(filter);
  useEffect(() => void (whole !== filter && setQuery({ q: whole })), [whole, filter]);
  const onKeyDown = (event) => {
    if (event.key !== "Escape") return;
    setQuery({ q: "" });
    event.target.blur();
  };
  return html`<div class="search">
    <${Icon} name="search" />
    <input class="input" type="search" data-filter aria-label=${t("devices.filter")} placeholder=${t("devices.filter")}
      value=${said(typed) === whole ? typed : filter} onKeyDown=${onKeyDown} onFocus=${() => loadGrammar().catch(() => {})}
      onInput=${(event) => (setTyped(event.target.value), setQuery({ q: said(event.target.value) }))}
      autocapitalize="none" autocomplete="off" spellcheck=${false} aria-invalid=${Boolean(error)}
      aria-describedby=${error ? "filter-error" : undefined} />
    <kbd aria-hidden="true">/</kbd>
  </div>`;
}

/** The list as cards, for who has chosen them: most have not, and no first view has to wait for them. */
function Cards({ ids }) {
  const [found, setFound] = useState({});
  useEffect(() => {
    let current = true;
    loadModule("pages/devices/grid.mjs").then(
      (module) => current && setFound({ Grid: module.Grid }),
      (error) => current && setFound({ error }),
    );
    return () => (current = false);
  }, []);
  if (found.error) return html`<${Problem} error=${found.error} />`;
  return found.Grid ? html`<${found.Grid} ids=${ids} />` : html`<${Loading} />`;
}

/** What may be done to the selected devices. */
function Selection() {
  const [Bar, setBar] = useState(null);
  const some = selected.value.size > 0;
  useEffect(() => {
    // As an update function, for a component is one as well.
    if (some && !Bar) loadModule("pages/devices/selection.mjs").then((module) => setBar(() => module.SelectionBar));
  }, [some]);
  return some && Bar ? html`<${Bar} />` : null;
}

/** In place of a list. `wrong`: the filter holds for nothing because it cannot be read. */
function Nothing({ wrong }) {
  return html`<div class="card"><${Empty} icon="search" title=${t(wrong ? "devices.wrong_title" : "devices.nothing_title")}>
    ${!wrong && html`<p>${t("devices.nothing_text")}</p>`}
    <button type="button" class="button" onClick=${() => setQuery({ q: "", is: "" })}>${t("devices.clear")}</button>
  <//></div>`;
}

export function DevicesPage() {
  const { query } = route.value;
  const [filter, chosen, sort] = [query.get("q") ?? "", query.get("is") ?? "", query.get("sort") ?? "name"];
  const { holds, error: wrong } = useFilter(filter);
  const error = useDevices(filter, wrong);
  const all = deviceIds.value;
  const [words, counts] = usePresenceWords(all);
  const mayAdd = mayAs("operator");
  const title = t("nav.devices");
  const view = listView.value;
  useAddKey(mayAdd);
  useEffect(() => void (document.title = `${title} · Hardpoint`), [title]);
  useEffect(() => () => selectOnly([]), []);
  // Like the words on each tick: rows that jump at every reading cannot be read.
  const shown = useMemo(() => {
    const fitting = (all && holds ? all : []).filter(
      (id) => words.has(id) && (!chosen || words.get(id) === chosen) && holds(deviceSignal(id).peek(), now.peek()),
    );
    return sorted(fitting, sort, now.peek());
  }, [all, words, chosen, holds, sort]);
  // Nothing is done to a device that nobody sees.
  useLayoutEffect(() => selectOnly(shown), [shown]);

  if (all === null) return html`<${Page}>${error ? html`<${Problem} error=${error} />` : html`<${Loading} />`}<//>`;
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
      <${FilterBox} filter=${filter} error=${wrong} />
      <${PresenceFilter} counts=${counts} total=${words.size} chosen=${chosen} />
      <span class="toolbar-end">
        <button type="button" class="icon-button" aria-label=${t("filter.help")} title=${t("filter.help")}
          onClick=${showFilterHelp}>?</button>
        ${view === "table" && html`<${IconButton} icon="table-2" label=${t("devices.columns")} onClick=${showColumns} />`}
        <span class="segments icons" role="group" aria-label=${t("devices.view")}>${VIEWS.map(
          ([name, icon]) => html`<button type="button" key=${name} aria-pressed=${view === name} aria-label=${t(`devices.as_${name}`)}
            title=${t(`devices.as_${name}`)} onClick=${() => chooseView(name)}><${Icon} name=${icon} /></button>`,
        )}</span>
      </span>
      ${wrong && html`<p class="field-error filter-error" id="filter-error" role="status">${wrong}</p>`}
    </div>
    ${
      shown.length
        ? html`<div class=${view === "table" ? "card" : ""}>
          ${view === "table" ? html`<${Table} ids=${shown} sort=${sort} wrong=${wrong} />` : html`<${Cards} ids=${shown} />`}
          ${deviceTotal.value > all.length && !filter && html`<div class="list-foot">
            ${t("devices.first_only", { n: all.length })}</div>`}</div>`
        : holds || wrong
          ? html`<${Nothing} wrong=${!holds} />`
          : html`<${Loading} />`
    }
    <${Selection} />
  <//>`;
}
