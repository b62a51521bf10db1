// What needs somebody, the worst first; each line leads to where it can be seen to.
import { html, signal, useEffect } from "../../vendor/preact.mjs";
import { mayAs } from "../../core/api.mjs";
import { deviceSignal, presenceWord } from "../../core/devices.mjs";
import { now, numberParts } from "../../core/format.mjs";
import { t } from "../../core/i18n.mjs";
import { loadModule, whenIdle } from "../../core/modules.mjs";
import { deviceHref } from "../../core/router.mjs";
import { Ago, Icon, Presence } from "../../ui/elements.mjs";

// What a condition is called comes behind the first view: which rule and which device stand there without.
// Not before the page is drawn: fetching a module fetches all words of the language, which is not known at the start.
const words = signal(null);
const loadWords = () => loadModule("pages/alerts/words.mjs").then((module) => (words.value = module), () => {});

const CERTIFICATE_SOON_DAYS = 30;
const ROOM_LOW_DAYS = 14;
const ROOM_LOW_BYTES = 1e9;
const RANK = { critical: 0, warning: 1, info: 2 };
const ICONS = { critical: "circle-alert", warning: "triangle-alert", info: "bell" };

/** One line: `mark` is told by its shape, `ts` since when. */
function Line({ href, severity, mark, name, ts, children }) {
  return html`<li class="attend ${severity}"><span class="attend-mark">${mark}</span>
    <span class="attend-words"><a href=${href}>${name}</a><span class="soft">${children}</span></span>
    ${ts && html`<span class="faint attend-at"><${Ago} ts=${ts} /></span>`}</li>`;
}

const icon = (name) => html`<${Icon} name=${name} />`;

/** What of the server itself needs somebody. */
function serverLines({ failing, certificate_days: days, bridge_error: bridge, room }) {
  const line = (severity, mark, name, text) =>
    html`<${Line} key=${name} href="/system" severity=${severity} mark=${icon(mark)} name=${name}>${text}<//>`;
  const low = room && ((room.days_left ?? Infinity) < ROOM_LOW_DAYS || (room.free_bytes ?? Infinity) < ROOM_LOW_BYTES);
  return [
    failing && line("critical", "server", t("home.failing"), t("home.failing_text")),
    low && line("warning", "server", t("home.room_low"), t("home.room_low_text", { free: numberParts(room.free_bytes, "B").join(" ") })),
    days !== null &&
      days < CERTIFICATE_SOON_DAYS &&
      line(
        days < 0 ? "critical" : "warning",
        "key-round",
        t("home.certificate"),
        days < 0 ? t("home.certificate_over") : t("home.certificate_days", { n: days }),
      ),
    bridge !== null && line("warning", "unplug", t("home.bridge"), bridge),
  ].filter(Boolean);
}

const alertLines = ({ firing, names }) =>
  firing
    .toSorted((a, b) => RANK[a.severity] - RANK[b.severity])
    .map(
      (alert) => html`<${Line} key=${alert.id} href="/alerts" severity=${alert.severity} mark=${icon(ICONS[alert.severity])}
        name=${alert.name} ts=${alert.since}><a href=${deviceHref(alert.device)}>${names[alert.device] ?? alert.device}</a>
        ${" "}${words.value?.alertText(alert)}<//>`,
    );

/** A device that is late or gone. It follows its own signal: one that comes back says so at once. */
function Absent({ id }) {
  const device = deviceSignal(id).value;
  if (!device) return null;
  const seen = device.presence.last_seen;
  const word = presenceWord(device.presence, now.value);
  if (word === "online") return null; // it is back, and the next answer knows it too
  return html`<li class="attend ${word}"><span class="attend-mark"><${Presence} word=${word} /></span>
    <span class="attend-words"><a href=${deviceHref(id)}>${device.name}</a></span>
    ${seen !== null && html`<span class="faint attend-at"><${Ago} ts=${seen} /></span>`}</li>`;
}

/** Where a list shows only its first few. */
const More = ({ href, children }) => html`<a class="home-more" href=${href}>${children}<${Icon} name="chevron-right" /></a>`;

export function Attention({ home }) {
  useEffect(() => void (words.peek() || whenIdle(loadWords)), []);
  const { presence, absent, unknown, firing, firing_total: firings, server } = home;
  const away = presence.late + presence.offline;
  const urgent = [...(server ? serverLines(server) : []), ...alertLines(home)];
  if (unknown)
    urgent.push(html`<${Line} key="unknown" href="/devices" severity="info" mark=${icon("radio")}
      name=${t("home.unknown", { n: unknown })}>${mayAs("operator") && t("home.unknown_text")}<//>`);
  return html`<section class="card home-attention" aria-labelledby="home-attention">
    <header class="card-head"><h2 id="home-attention">${t("home.attention")}</h2></header>
    ${
      urgent.length + absent.length
        ? html`<ul class="attends">${urgent}${absent.map((device) => html`<${Absent} key=${device.id} id=${device.id} />`)}</ul>
          <p class="home-mores">
            ${firings > firing.length && html`<${More} href="/alerts">${t("home.all_alerts", { n: firings })}<//>`}
            ${away > absent.length && html`<${More} href="/devices?q=is:late,offline">${t("home.all_absent", { n: away })}<//>`}</p>`
        : html`<div class="home-well"><span class="empty-mark good"><${Icon} name="check" /></span>
          <div><p class="home-well-title">${t("home.well_title")}</p><p class="soft">${t("home.well_text")}</p></div></div>`
    }
  </section>`;
}
