// What stands around every signed-in page: the bar on top, the connection's state, the keys.
import { effect, html, signal, useLayoutEffect } from "../vendor/preact.mjs";
import { mayAs, session, signOut } from "../core/api.mjs";
import { chooseLocale, LOCALES, locale, t } from "../core/i18n.mjs";
import { firingAlerts, liveStatus } from "../core/live.mjs";
import { loadModule } from "../core/modules.mjs";
import { singleKeys, theme } from "../core/preferences.mjs";
import { navigate, route } from "../core/router.mjs";
import { Icon, Mark } from "./elements.mjs";
import { Menu } from "./menu.mjs";
import { toast, toastError } from "./toast.mjs";

const LOST_AFTER_MS = 1_500; // shorter losses are a restart or a changed network: a toast would only flicker
const CHORD_MS = 2_000; // long enough for one finger
const CHORDS = { h: "/", d: "/devices", b: "/dashboards", a: "/alerts", r: "/alerts/rules", s: "/system" };

/** The dialog that is shown over the page, as a component, or `null`. */
export const overlay = signal(null);

/** Show a dialog over the page: `load` gives its component or a promise of it; it gets `props` and `onClose`. */
export async function showDialog(load, props = {}) {
  try {
    const Dialog = await load();
    overlay.value = () => html`<${Dialog} ...${props} onClose=${() => (overlay.value = null)} />`;
  } catch (error) {
    toastError(error); // its module could not be fetched: the server is away, or was updated
  }
}

export const showShortcuts = () => showDialog(async () => (await loadModule("ui/shortcuts.mjs")).ShortcutsDialog);

const showPalette = () => showDialog(async () => (await loadModule("ui/palette.mjs")).Palette);

/** Theme and language, also offered before sign-in. */
export function Preferences() {
  const themes = [
    ["system", "monitor"],
    ["light", "sun"],
    ["dark", "moon"],
  ];
  const themeItems = themes.map(([name, icon]) => ({
    label: t(`theme.${name}`),
    icon,
    checked: theme.value === name,
    run: () => (theme.value = name),
  }));
  const localeItems = Object.entries(LOCALES).map(([tag, label]) => ({
    label,
    checked: locale.value === tag,
    run: () => chooseLocale(tag).catch(toastError),
  }));
  const icon = themes.find(([name]) => name === theme.value)?.[1] ?? "monitor";
  return html`<${Menu} icon="languages" label=${t("menu.language")} items=${localeItems} />
    <${Menu} icon=${icon} label=${t("menu.theme")} items=${themeItems} />`;
}

const SECTIONS = [
  ["home", "house", "/", /^\/$/],
  ["devices", "cpu", "/devices", /^\/devices(\/|$)/],
  ["dashboards", "layout-dashboard", "/dashboards", /^\/dashboards(\/|$)/],
  ["alerts", "bell", "/alerts", /^\/alerts(\/|$)/],
  ["system", "server", "/system", /^\/system$/],
];
/** The colour of the badge is that of the worst. */
const SEVERITIES = ["critical", "warning", "info"];

/** How many of the alerts fire, where any do. */
export function Badge({ firing }) {
  if (!firing?.length) return null;
  const worst = SEVERITIES.find((severity) => firing.some((alert) => alert.severity === severity));
  return html`<span class="badge-count ${worst}"><span aria-hidden="true">${firing.length > 99 ? "99+" : firing.length}</span>
    <span class="visually-hidden">${t("nav.firing", { n: firing.length })}</span></span>`;
}

/** The parts of the site: on top, or at the bottom of a narrow screen, where a thumb reaches them. */
function Sections({ crumb }) {
  const { path } = route.value;
  return html`<nav class="sections" aria-label=${t("nav.label")}>
    ${SECTIONS.map(
      ([name, icon, href, own]) => html`<a key=${name} href=${href}
        aria-current=${own.test(path) ? (crumb ? "true" : "page") : undefined}>
        <${Icon} name=${icon} />${t(`nav.${name}`)}${name === "alerts" && html`<${Badge} firing=${firingAlerts.value} />`}</a>`,
    )}
  </nav>`;
}

/** The bar on top. `crumb` is the page below a section, where there is one. */
export function TopBar({ crumb }) {
  const user = session.value?.user?.name ?? "";
  const items = [
    { title: t("menu.signed_in_as", { name: user }) },
    { label: t("palette.title"), icon: "search", run: showPalette },
    { label: t("nav.settings"), icon: "settings", run: () => navigate("/settings") },
    { label: t("menu.own_account"), icon: "user", run: () => navigate("/account") },
    mayAs("admin") && { label: t("menu.people"), icon: "key-round", run: () => navigate("/people") },
    mayAs("operator") && { label: t("menu.activity"), icon: "activity", run: () => navigate("/activity") },
    "-",
    { label: t("menu.shortcuts"), icon: "keyboard", run: showShortcuts },
    "-",
    { label: t("menu.sign_out"), icon: "log-out", run: () => signOut().catch(toastError) },
  ];
  return html`<header class="top"><div class="top-inner">
    <a class="brand" href="/" aria-label="Hardpoint"><${Mark} /><span class="brand-word">Hardpoint</span></a>
    <${Sections} crumb=${crumb} />
    ${crumb && html`<span class="crumb"><${Icon} name="chevron-right" /><span>${crumb}</span></span>`}
    <div class="top-end">
      <${Preferences} />
      <${Menu} icon="user" label=${t("menu.account")} items=${items.filter(Boolean)} />
    </div>
  </div></header>`;
}

/**
 * Ctrl or Cmd with K opens the palette, also while typing. `/` the filter, `?` the list of keys, `g` and a letter the
 * parts of the site: not while typing, not with a dialog open, and not where the person has switched them off.
 */
export function useShortcuts() {
  useLayoutEffect(() => {
    let chordAt = -Infinity;
    function onKeyDown(event) {
      const open = document.querySelector("dialog[open]");
      if ((event.ctrlKey || event.metaKey) && event.key === "k" && session.peek()?.user) {
        event.preventDefault();
        if (!open) showPalette();
        return;
      }
      if (singleKeys.peek() === "off") return;
      const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
      if (typing || event.ctrlKey || event.metaKey || event.altKey || open) return;
      const inChord = event.timeStamp - chordAt < CHORD_MS;
      chordAt = -Infinity;
      if (inChord && event.key in CHORDS) navigate(CHORDS[event.key]);
      else if (event.key === "g") chordAt = event.timeStamp;
      else if (event.key === "?") showShortcuts();
      else if (event.key === "/") {
        const filter = document.querySelector("[data-filter]");
        if (!filter) return;
        event.preventDefault();
        filter.focus();
      }
    }
    document.addEventListener("keydown", onKeyDown);
    return () => document.removeEventListener("keydown", onKeyDown);
  }, []);
}

/** Say it when the live stream is lost for longer than a moment, and when it is back. */
export function watchConnection() {
  let timer = null;
  let dismiss = null;
  return effect(() => {
    const lost = liveStatus.value === "lost";
    if (lost && !timer) {
      timer = setTimeout(() => {
        dismiss = toast(t("live.lost"), { kind: "warn", icon: "refresh-cw", sticky: true });
      }, LOST_AFTER_MS);
    } else if (!lost) {
      clearTimeout(timer);
      timer = null;
      dismiss?.();
      if (dismiss && liveStatus.value === "open") toast(t("live.back"));
      dismiss = null;
    }
  });
}

/** The frame of a signed-in page. */
export function Page({ crumb, children }) {
  return html`<a class="skip" href="#main" onClick=${skip}>${t("nav.skip")}</a>
    <${TopBar} crumb=${crumb} />
    <main id="main" tabindex="-1" class=${liveStatus.value === "lost" ? "stale" : ""}>${children}</main>`;
}

function skip(event) {
  event.preventDefault();
  document.getElementById("main").focus();
}
