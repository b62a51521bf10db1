// The page's start: language, who is signed in, then the page that the address names. Pages are imported on first use.
import { effect, html, render, signal, useEffect, useState } from "./vendor/preact.mjs";
import { loadSession, session } from "./core/api.mjs";
import { forgetDevices, loadDevices } from "./core/devices.mjs";
import { preferredLocale, setLocale, t } from "./core/i18n.mjs";
import { liveStatus, onLive, startLive, stopLive } from "./core/live.mjs";
import { loadModule, loadWhenIdle, whenIdle } from "./core/modules.mjs";
import { remember } from "./core/preferences.mjs";
import { interceptLinks, navigate, route } from "./core/router.mjs";
import { DevicesPage } from "./pages/devices.mjs";
import { HomePage } from "./pages/home.mjs";
import { Empty, Loading, Problem } from "./ui/elements.mjs";
import { overlay, Page, useShortcuts, watchConnection } from "./ui/shell.mjs";
import { toast, Toasts } from "./ui/toast.mjs";

/** The pages that come with the first view; each of the others is the default export of its module. */
const FIRST_PAGES = { home: HomePage, devices: DevicesPage };
const OFTEN_NEXT = [
  "core/alerts.mjs",
  "pages/home/events.mjs",
  "pages/device.mjs",
  "pages/alerts.mjs",
  "pages/rules.mjs",
  "ui/add_device.mjs",
  "ui/shortcuts.mjs",
];
const OPEN_TO_ALL = new Set(["welcome", "login", "shared"]);

const failure = signal(null);

/** The page that may be shown at this address by this person; `null` where a redirect is on its way. */
function allowed() {
  const { name } = route.value;
  const who = session.value;
  if (OPEN_TO_ALL.has(name)) return name;
  return who && !who.setup_needed ? name : null;
}

/** Send people where they have to go first: set-up, sign-in, or back to where they were going. */
function redirect() {
  const { name, query } = route.value;
  const who = session.value;
  if (who === undefined) return;
  if (who?.setup_needed) {
    if (name !== "welcome") navigate("/welcome", { replace: true });
  } else if (who && name === "login") {
    const next = query.get("next") ?? "";
    navigate(/^\/(?![/\\])/.test(next) ? next : "/", { replace: true });
  } else if (!who && !OPEN_TO_ALL.has(name)) {
    const here = location.pathname + location.search;
    navigate(here === "/" ? "/login" : `/login?next=${encodeURIComponent(here)}`, {
      replace: true,
    });
  }
}

/** The page of this name: `{Component, error, retry}`, the first two `null` while it is on its way. */
function usePage(name, id) {
  const [shown, setShown] = useState({});
  const [round, setRound] = useState(0);
  const retry = () => setRound((n) => n + 1);
  const first = name && FIRST_PAGES[name];
  const here = first ? { Component: first } : shown.name === name && shown.id === id ? shown : {};
  const live = liveStatus.value;
  useEffect(() => {
    let current = true;
    const show = (what) => current && setShown({ name, id, ...what });
    if (name && !(name in FIRST_PAGES)) {
      loadModule(`pages/${name}.mjs`).then(
        (module) => show({ Component: module.default }),
        (error) => show({ error }),
      );
    }
    return () => (current = false);
  }, [name, id, round]);
  useEffect(() => void (live === "open" && here.error && retry()), [live]);
  useEffect(() => void (here.Component && loadWhenIdle(OFTEN_NEXT)), [Boolean(here.Component)]);
  return { Component: here.Component ?? null, error: here.error ?? null, retry };
}

/** In place of a page that could not be fetched. */
function Away({ error, retry }) {
  const away = error.status === 0;
  const act = away ? retry : () => location.reload();
  return html`<div class="card" role="alert"><${Empty} icon="refresh-cw" heading="h1" title=${error.text}>
    ${away && html`<p>${t("live.away_text")}</p>`}
    <button type="button" class="button" onClick=${act}>${t(away ? "live.retry" : "live.reload")}</button>
  <//></div>`;
}

function App() {
  const name = allowed();
  const id = route.value.params.id ?? route.value.params.label;
  const { Component, error, retry } = usePage(name, id);
  useShortcuts();

  const Frame = session.value && !session.value.setup_needed ? Page : "main";
  const Overlay = overlay.value;
  return html`${
    failure.value
      ? html`<main class="stack"><${Problem} error=${failure.value} />
      <div><button type="button" class="button" onClick=${() => location.reload()}>${t("live.reload")}</button></div>
      </main>`
      : Component
        ? html`<${Component} key=${id} params=${route.value.params} />`
        : html`<${Frame}>${error ? html`<${Away} error=${error} retry=${retry} />` : html`<${Loading} />`}<//>`
  }
    ${Overlay && html`<${Overlay} />`}<${Toasts} />`;
}

/** The stream runs while somebody is signed in. What another person saw is forgotten with them. */
function followSession() {
  let name = null;
  effect(() => {
    const who = session.value;
    const signedIn = who && !who.setup_needed ? who.user.name : null;
    if (signedIn === name) return;
    name = signedIn;
    if (signedIn) startLive();
    else {
      stopLive();
      forgetDevices();
    }
  });
}

/** After a loss that the stream could not bridge: fetch the list anew, and notice a newer server. */
async function catchUp() {
  const version = session.peek()?.version;
  try {
    await Promise.all([loadSession(), loadDevices()]);
  } catch {
    return; // lost again: the next reset comes with the next connection
  }
  if (session.peek() && session.peek().version !== version) {
    toast(t("live.new_version"), {
      icon: "refresh-cw",
      sticky: true,
      action: { label: t("live.reload"), run: () => location.reload() },
    });
  }
}

/** Fetch the font when everything else is there, and use it at once on later visits. */
async function takeFont() {
  await document.fonts.load("1rem Inter");
  document.documentElement.dataset.font = "";
  remember("font", "1");
}

async function start() {
  const shared = route.peek().name === "shared"; // no account: its page opens a stream of its own
  try {
    await Promise.all([setLocale(preferredLocale(), { first: true }), !shared && loadSession()]);
  } catch (error) {
    failure.value = error;
  }
  interceptLinks();
  if (!shared) {
    followSession();
    effect(redirect);
    onLive("reset", catchUp);
  }
  watchConnection();
  render(html`<${App} />`, document.getElementById("app"));
  whenIdle(() => void takeFont().catch(() => {})); // the system's font is readable too
}

start();
