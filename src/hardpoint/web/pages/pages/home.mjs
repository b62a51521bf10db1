// What a person sees first: what needs attention, what is live, and where there is no device yet, how to begin.
import { batch, html, useEffect, useState } from "../vendor/preact.mjs";
import { api, mayAs } from "../core/api.mjs";
import { deviceSignal } from "../core/devices.mjs";
import { duration, numberParts } from "../core/format.mjs";
import { t } from "../core/i18n.mjs";
import { onLive } from "../core/live.mjs";
import { loadModule, whenIdle } from "../core/modules.mjs";
import { Icon, Loading, Presence, Problem } from "../ui/elements.mjs";
import { Page, showDialog } from "../ui/shell.mjs";
import { sparkPath } from "../ui/spark.mjs";
import { Tile } from "./devices/tile.mjs";
import { Attention } from "./home/attention.mjs";

const EVERY_MS = 10_000;
/** What happens is shown soon, and however much happens, no more often than this. */
const SOON_MS = 400;
const LEAST_GAP_MS = 2_000;
const TEN_YEARS_DAYS = 3_650;
const WORDS = ["online", "late", "offline", "never"];
const PACE_BOX = [320, 44];

const addDevice = () => showDialog(async () => (await loadModule("ui/add_device.mjs")).AddDeviceDialog);

/** `{home, error}`: asked for now and then while the page is seen, and soon after something happened. */
function useHome() {
  const [state, setState] = useState({ home: null, error: null });
  useEffect(() => {
    let [current, timer, askedAt] = [true, null, 0];
    async function ask() {
      askedAt = Date.now();
      clearTimeout(timer);
      timer = null;
      if (!document.hidden) {
        try {
          const home = await api("GET", "/home");
          if (!current) return;
          batch(() => [...home.absent, ...home.reporting].forEach((device) => (deviceSignal(device.id).value = device)));
          setState({ home, error: null });
        } catch (error) {
          if (current) setState((before) => ({ ...before, error }));
        }
      }
      if (current && !timer) timer = setTimeout(ask, EVERY_MS);
    }
    let due = Infinity;
    const soon = () => {
      const at = Math.max(Date.now() + SOON_MS, askedAt + LEAST_GAP_MS);
      if (due > Date.now() && due <= at) return; // it is about to be asked
      due = at;
      clearTimeout(timer);
      timer = setTimeout(ask, at - Date.now());
    };
    ask();
    document.addEventListener("visibilitychange", soon);
    const undo = ["alert", "presence", "device", "reset"].map((name) => onLive(name, soon));
    return () => {
      current = false;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", soon);
      undo.forEach((each) => each());
    };
  }, []);
  return state;
}

/** How many devices are present, each word a part of one bar and a link to those it stands for. */
function Devices({ presence }) {
  const total = WORDS.reduce((sum, word) => sum + presence[word], 0);
  const there = WORDS.filter((word) => presence[word]);
  return html`<section class="card home-card" aria-labelledby="home-devices">
    <h2 id="home-devices">${t("nav.devices")}</h2>
    <p class="home-number number">${numberParts(presence.online)[0]} <small>${t("home.online_of", { total })}</small></p>
    <div class="home-bar" aria-hidden="true">${there.map(
      (word) => html`<i key=${word} class=${word} style=${{ flexGrow: presence[word] }}></i>`,
    )}</div>
    <ul class="home-words">${there.map(
      (word) => html`<li key=${word}><a href="/devices?is=${word}"><${Presence} word=${word} />
        <span class="number">${numberParts(presence[word])[0]}</span></a></li>`,
    )}</ul>
  </section>`;
}

function Pace({ pace }) {
  const path = sparkPath(pace, ...PACE_BOX);
  const last = pace.at(-1)?.[1];
  const span = pace.length > 1 ? (pace.at(-1)[0] - pace[0][0]) / 1_000 : 0;
  return html`<section class="card home-card" aria-labelledby="home-pace">
    <h2 id="home-pace">${t("home.readings")}</h2>
    <p class="home-number number">${last === undefined ? "–" : numberParts(Math.round(last * 10) / 10)[0]}
      ${" "}<small>${t("home.a_second")}</small></p>
    <svg class="spark series-0" viewBox="0 0 ${PACE_BOX.join(" ")}" preserveAspectRatio="none" aria-hidden="true">
      ${path?.line && html`<path class="spark-area" d=${path.area} /><path class="spark-line" d=${path.line} />`}</svg>
    <p class="hint">${span ? t("home.pace_note", { time: duration(span) }) : t("home.pace_soon")}</p>
  </section>`;
}

const bytes = (value) => numberParts(value, "B").join(" ");

/** What is kept and for how long there is room: days where they can be told, else bytes. */
function Room({ room }) {
  const { size_bytes: size, free_bytes: free, days_left: days } = room;
  const [number, words] =
    days === null
      ? [bytes(free ?? size), t(free === null ? "home.kept" : "home.free")]
      : days > TEN_YEARS_DAYS
        ? ["10+", t("home.years_left")]
        : [numberParts(Math.floor(days))[0], t("home.days_left", { n: Math.floor(days) })];
  return html`<section class="card home-card" aria-labelledby="home-room">
    <h2 id="home-room">${t("home.room")}</h2>
    <p class="home-number number">${number} <small>${words}</small></p>
    ${
      free !== null &&
      html`<div class="home-bar" aria-hidden="true"><i class="used" style=${{ flexGrow: size }}></i>
      <i class="never" style=${{ flexGrow: free }}></i></div>`
    }
    <p class="hint">${free === null ? "" : t("home.room_note", { used: bytes(size), free: bytes(free) })}
      ${days === null ? "" : ` ${t("home.room_rate")}`}</p>
  </section>`;
}

/** Some of the devices that are online, with what they say right now. */
function Reporting({ devices, total }) {
  return html`<section aria-labelledby="home-reporting">
    <div class="home-head"><h2 id="home-reporting">${t("home.reporting")}</h2>
      <a href="/devices">${t("home.all_devices", { n: total })}<${Icon} name="chevron-right" /></a></div>
    <ul class="tiles">${devices.map((device) => html`<${Tile} key=${device.id} id=${device.id} />`)}</ul>
  </section>`;
}

/** A part that is fetched behind the first view: what has happened with its cause, or how one begins. */
function Later({ path, name }) {
  const [Found, setFound] = useState(null);
  useEffect(() => {
    let current = true;
    whenIdle(() =>
      loadModule(path).then(
        (module) => current && setFound(() => module[name]),
        () => {}, // the server is away, and the page says so
      ),
    );
    return () => (current = false);
  }, []);
  return Found && html`<${Found} addDevice=${addDevice} />`;
}

export function HomePage() {
  const { home, error } = useHome();
  const title = t("nav.home");
  useEffect(() => void (document.title = `${title} · Hardpoint`), [title]);
  if (!home) return html`<${Page}>${error ? html`<${Problem} error=${error} />` : html`<${Loading} />`}<//>`;
  const total = WORDS.reduce((sum, word) => sum + home.presence[word], 0);
  const anything = total || home.unknown;
  // The server's own machine is a device as well, and so is the one that a first start makes; nobody came for those.
  const begun = home.heard || home.unknown;
  return html`<${Page}>
    ${
      begun
        ? html`<div class="page-head"><h1>${title}</h1>
          ${mayAs("operator") && html`<button type="button" class="button" onClick=${addDevice}>
            <${Icon} name="plus" />${t("devices.add")}</button>`}</div>`
        : html`<${Later} path="pages/home/first.mjs" name="First" />`
    }
    ${
      anything &&
      html`<div class="home-top"><${Devices} presence=${home.presence} />
        ${home.server && html`<${Pace} pace=${home.pace} />`}
        ${home.server?.room && html`<${Room} room=${home.server.room} />`}</div>
      <div class="home-main"><div class="stack"><${Attention} home=${home} />
        ${home.reporting.length > 0 && html`<${Reporting} devices=${home.reporting} total=${total} />`}</div>
        <${Later} path="pages/home/events.mjs" name="Events" /></div>`
    }
  <//>`;
}
