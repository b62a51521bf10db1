// Everything by its name: pages, devices, dashboards and what can be done. The ARIA combobox pattern: the box keeps the
// focus, arrows move what is chosen in the list.
import { html, useEffect, useId, useMemo, useState } from "../vendor/preact.mjs";
import { api, mayAs, signOut } from "../core/api.mjs";
import { dashboards, labelsOf, loadDashboards } from "../core/dashboards.mjs";
import { deviceIds, deviceSignal, loadDevices } from "../core/devices.mjs";
import { chooseLocale, LOCALES, locale, t } from "../core/i18n.mjs";
import { loadModule } from "../core/modules.mjs";
import { theme } from "../core/preferences.mjs";
import { dashboardHref, deviceHref, labelHref, navigate } from "../core/router.mjs";
import { Dialog } from "./dialog.mjs";
import { Icon } from "./elements.mjs";
import { showDialog, showShortcuts } from "./shell.mjs";
import { toastError } from "./toast.mjs";

const MOST_SHOWN = 12;
const SEARCH_AFTER_MS = 200;

const go = (path) => () => navigate(path);
const dialog = (path, name) => () => showDialog(async () => (await loadModule(path))[name]);

/** Pages, and what can be done from anywhere: `{icon, name, hint, run}`. */
function commands() {
  const operator = mayAs("operator");
  return [
    { icon: "house", name: t("nav.home"), run: go("/") },
    { icon: "cpu", name: t("nav.devices"), run: go("/devices") },
    { icon: "layout-dashboard", name: t("nav.dashboards"), run: go("/dashboards") },
    { icon: "bell", name: t("nav.alerts"), run: go("/alerts") },
    { icon: "bell", name: t("alerts.tab_history"), run: go("/alerts/history") },
    { icon: "bell", name: t("alerts.tab_rules"), run: go("/alerts/rules") },
    { icon: "server", name: t("nav.system"), run: go("/system") },
    { icon: "settings", name: t("nav.settings"), run: go("/settings") },
    operator && { icon: "plus", name: t("devices.add"), run: dialog("ui/add_device.mjs", "AddDeviceDialog") },
    operator && { icon: "plus", name: t("boards.new"), run: dialog("pages/dashboards.mjs", "NewDashboardDialog") },
    operator && { icon: "plus", name: t("rules.add"), run: go("/alerts/new-rule") },
    ...["light", "dark", "system"]
      .filter((each) => each !== theme.value)
      .map((each) => ({
        icon: each === "light" ? "sun" : each === "dark" ? "moon" : "monitor",
        name: `${t("menu.theme")}: ${t(`theme.${each}`)}`,
        run: () => (theme.value = each),
      })),
    ...Object.entries(LOCALES)
      .filter(([tag]) => tag !== locale.value)
      .map(([tag, label]) => ({ icon: "languages", name: label, run: () => chooseLocale(tag).catch(toastError) })),
    { icon: "keyboard", name: t("menu.shortcuts"), run: showShortcuts },
    { icon: "log-out", name: t("menu.sign_out"), run: () => signOut().catch(toastError) },
  ].filter(Boolean);
}

/** Devices and what can be done with each, then dashboards and labels. */
function things(found) {
  const devices = found.map((id) => deviceSignal(id).peek()).filter(Boolean);
  return [
    ...devices.map((device) => ({ icon: "cpu", name: device.name, hint: t("palette.device"), run: go(deviceHref(device.id)) })),
    ...(dashboards.value ?? []).map((board) => ({
      icon: "layout-dashboard",
      name: board.name,
      hint: t("palette.dashboard"),
      run: go(dashboardHref(board.id)),
    })),
    ...labelsOf(devices).map(([label]) => ({
      icon: "tag",
      name: label.replace(":", ": "),
      hint: t("palette.dashboard"),
      run: go(labelHref(label)),
    })),
    ...(mayAs("operator") ? devices : []).map((device) => ({
      icon: "send",
      name: t("palette.send_to", { name: device.name }),
      hint: t("palette.action"),
      run: () => navigate(`${deviceHref(device.id)}?do=command`),
    })),
  ];
}

/** How well a name answers to what was typed: 0 begins with it, 1 a word does, 2 holds every word; `null` not at all. */
export function rank(name, typed) {
  const text = name.toLowerCase();
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.every((word) => text.includes(word))) return null;
  if (!words.length || text.startsWith(words[0])) return 0;
  return new RegExp(`[\\s:_.-]${words[0].replace(/[^\p{L}\p{N}]/gu, "\\$&")}`, "u").test(text) ? 1 : 2;
}

/** The ids of devices to choose from: all that are known, and what the server finds beside them. */
function useDeviceIds(typed) {
  const [found, setFound] = useState([]);
  useEffect(() => {
    if (deviceIds.peek() === null) loadDevices().catch(() => {}); // away: the page says so
    if (dashboards.peek() === null) loadDashboards().catch(() => {});
  }, []);
  useEffect(() => {
    const text = typed.trim();
    if (!text) return undefined;
    const abort = new AbortController();
    const timer = setTimeout(async () => {
      try {
        const page = await api("GET", `/devices?${new URLSearchParams({ search: text, limit: "20" })}`, undefined, abort);
        for (const device of page.items) if (!deviceSignal(device.id).peek()) deviceSignal(device.id).value = device;
        setFound(page.items.map((device) => device.id));
      } catch {
        // Typed on, or away.
      }
    }, SEARCH_AFTER_MS);
    return () => (clearTimeout(timer), abort.abort());
  }, [typed]);
  return [...new Set([...(deviceIds.value ?? []), ...found])];
}

export function Palette({ onClose }) {
  const listId = useId();
  const [typed, setTyped] = useState("");
  const [chosen, setChosen] = useState(0);
  const ids = useDeviceIds(typed);
  const all = dashboards.value;
  const shown = useMemo(
    () =>
      [...commands(), ...(typed.trim() ? things(ids) : things(ids.slice(0, MOST_SHOWN)))]
        .map((entry) => ({ entry, rank: rank(entry.name, typed) }))
        .filter((each) => each.rank !== null)
        .sort((a, b) => a.rank - b.rank)
        .slice(0, MOST_SHOWN)
        .map((each) => each.entry),
    [typed, ids.length, all, locale.value],
  );
  const at = Math.min(chosen, shown.length - 1);
  const run = (entry) => (onClose(), entry?.run());
  function onKeyDown(event) {
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: shown.length - 1 }[event.key];
    if (to !== undefined && shown.length) {
      event.preventDefault();
      setChosen((to + shown.length) % shown.length);
    } else if (event.key === "Enter" && !event.isComposing && shown[at]) {
      event.preventDefault();
      run(shown[at]);
    }
  }
  useEffect(() => document.getElementById(`${listId}-${at}`)?.scrollIntoView({ block: "nearest" }), [at]);
  return html`<${Dialog} title=${t("palette.title")} onClose=${onClose}>
    <input class="input palette-box" data-focus role="combobox" aria-label=${t("palette.title")} aria-expanded="true"
      aria-controls=${listId} aria-activedescendant=${shown.length ? `${listId}-${at}` : undefined} aria-autocomplete="list"
      autocomplete="off" spellcheck=${false} placeholder=${t("palette.hint")} value=${typed}
      onInput=${(event) => (setTyped(event.target.value), setChosen(0))} onKeyDown=${onKeyDown} />
    <ul class="palette" role="listbox" id=${listId} aria-label=${t("palette.title")}>
      ${shown.map(
        (entry, n) => html`<li key=${`${entry.icon} ${entry.name}`} id="${listId}-${n}" role="option" aria-selected=${n === at}
          onPointerMove=${() => n !== at && setChosen(n)} onClick=${() => run(entry)}>
          <${Icon} name=${entry.icon} /><span class="palette-name">${entry.name}</span>
          ${entry.hint && html`<span class="hint">${entry.hint}</span>`}</li>`,
      )}
    </ul>
    <p class="hint" role="status">${shown.length ? "" : t("palette.nothing")}</p>
  <//>`;
}
