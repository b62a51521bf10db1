// What is on a card: a value, a gauge, lines, words. Controls have a file of their own.
import { html, useEffect, useMemo, useRef, useState } from "../../vendor/preact.mjs";
import { deviceSignal } from "../../core/devices.mjs";
import { labelOf, numberParts, now, relative, unitOf, valueParts } from "../../core/format.mjs";
import { t } from "../../core/i18n.mjs";
import { session } from "../../core/api.mjs";
import { deviceHref } from "../../core/router.mjs";
import { loadModule } from "../../core/modules.mjs";
import { Icon } from "../../ui/elements.mjs";
import { Spark } from "../../ui/spark.mjs";
import { Control } from "./controls.mjs";

const SERIES = 8;
/** A value is stale after so many of its device's usual intervals without another one, */
const STALE_INTERVALS = 3;
/** or after this long, where no interval is known. */
const STALE_MS = 300_000;

/** The name of a device, or its id while nothing is known of it. */
export const deviceName = (id) => deviceSignal(id).value?.name ?? id;

/** What a card is called: its own title, or one made of what it shows. */
export function cardTitle(card) {
  if (card.title) return card.title;
  if (card.kind === "text" || card.kind === "hidden") return t(`card.${card.kind}`);
  if (card.kind === "chart") {
    return [...new Set(card.series.map(({ device, key }) => labelOf(key, deviceSignal(device).value?.fields)))].join(", ");
  }
  return (card.key && labelOf(card.key, deviceSignal(card.device).value?.fields)) || card.act?.method || card.act?.key || t(`card.${card.kind}`);
}

/** Whether a reading is too old to be called the present. */
export function isStale(device, latest, at) {
  const every = device.presence.expected_every_s;
  return at - latest.ts > (every ? every * STALE_INTERVALS * 1_000 + 2_000 : STALE_MS);
}

function Device({ id }) {
  const device = deviceSignal(id).value;
  const name = device?.name ?? id;
  return session.value
    ? html`<a class="card-device" href=${deviceHref(id)}>${name}</a>`
    : html`<span class="card-device">${name}</span>`;
}

/** The line above a card's content. */
export function Head({ card, children }) {
  return html`<header class="board-head"><h2 title=${cardTitle(card)}>${cardTitle(card)}</h2>
    ${card.device && html`<${Device} id=${card.device} />`}${children}</header>`;
}

/** How old the value is; said in words and by a sign, where it is stale. */
function Age({ device, latest }) {
  const stale = isStale(device, latest, now.value);
  return html`<p class="card-age ${stale ? "is-stale" : ""}">
    ${stale && html`<${Icon} name="clock" /><span class="visually-hidden">${t("card.stale")}</span>`}
    <span class="number">${relative(latest.ts)}</span></p>`;
}

function Nothing({ id }) {
  return html`<p class="card-nothing">${t(deviceSignal(id).value ? "card.no_value" : "card.no_device")}</p>`;
}

function ValueCard({ card, index }) {
  const device = deviceSignal(card.device).value;
  const latest = device?.latest[card.key];
  if (!latest) return html`<${Head} card=${card} /><${Nothing} id=${card.device} />`;
  const [text, unit] = valueParts(card.key, latest.value, device.fields);
  const boolean = typeof latest.value === "boolean";
  return html`<${Head} card=${card} />
    <p class="card-value number ${isStale(device, latest, now.value) ? "is-stale" : ""}" title=${text}>
      ${boolean ? t(`states.${latest.value}`) : text}${unit && html`<small>${unit}</small>`}</p>
    ${
      typeof latest.value === "number" &&
      html`<${Spark} id=${card.device} name=${card.key} latest=${latest}
      series=${index % SERIES} />`
    }
    <${Age} device=${device} latest=${latest} />`;
}

const SWEEP = 240; // degrees of the arc, open at the bottom
const RADIUS = 52;

function arc(from, to) {
  const point = (part) => {
    const angle = ((90 + (360 - SWEEP) / 2 + part * SWEEP) * Math.PI) / 180;
    return `${(60 + RADIUS * Math.cos(angle)).toFixed(2)} ${(60 + RADIUS * Math.sin(angle)).toFixed(2)}`;
  };
  return `M${point(from)}A${RADIUS} ${RADIUS} 0 ${(to - from) * SWEEP > 180 ? 1 : 0} 1 ${point(to)}`;
}

/** `good`, `warn` or `bad`. Where `bad` is below `warn`, or stands alone in the lower half, small values are the bad ones. */
export function gaugeWord({ low, high, warn, bad }, value) {
  const downwards = warn !== null && bad !== null ? bad < warn : (bad ?? warn) < (low + high) / 2;
  const past = (limit) => limit !== null && (downwards ? value <= limit : value >= limit);
  return past(bad) ? "bad" : past(warn) ? "warn" : "good";
}

function GaugeCard({ card }) {
  const device = deviceSignal(card.device).value;
  const latest = device?.latest[card.key];
  if (typeof latest?.value !== "number") return html`<${Head} card=${card} /><${Nothing} id=${card.device} />`;
  const unit = unitOf(card.key, device.fields);
  const [text, shownUnit] = valueParts(card.key, latest.value, device.fields);
  const part = Math.max(0, Math.min(1, (latest.value - card.low) / (card.high - card.low || 1)));
  const word = gaugeWord(card, latest.value);
  const [low, high] = [card.low, card.high].map((end) => numberParts(end, unit)[0]);
  const said = t("card.gauge_said", { value: `${text} ${shownUnit}`, low, high });
  return html`<${Head} card=${card} />
    <div class="gauge ${word} ${isStale(device, latest, now.value) ? "is-stale" : ""}">
      <svg viewBox="0 0 120 96" role="img" aria-label=${word === "good" ? said : `${said} ${t(`card.${word}`)}`}>
        <path class="gauge-track" d=${arc(0, 1)} />
        ${part > 0.004 && html`<path class="gauge-fill" d=${arc(0, part)} />`}
      </svg>
      <p class="card-value number" aria-hidden="true">${text}<small>${shownUnit}</small></p>
      <p class="gauge-ends number" aria-hidden="true"><span>${low}</span>
        ${word !== "good" && html`<strong><${Icon} name="triangle-alert" />${t(`card.${word}`)}</strong>`}
        <span>${high}</span></p>
    </div>
    <${Age} device=${device} latest=${latest} />`;
}

/** The chart's module has the plotting library behind it: it is fetched with the first chart that comes into view. */
function ChartCard({ card }) {
  const ref = useRef(null);
  const [visible, setVisible] = useState(false);
  const [Lines, setLines] = useState(null);
  const [error, setError] = useState(null);
  useEffect(() => {
    const seen = new IntersectionObserver(([entry]) => setVisible(entry.isIntersecting), { rootMargin: "200px" });
    seen.observe(ref.current);
    return () => seen.disconnect();
  }, []);
  useEffect(() => {
    if (visible && !Lines)
      loadModule("pages/dashboard/lines.mjs").then((module) => setLines(() => module.Lines), setError);
  }, [visible]);
  return html`<${Head} card=${card} />
    <div class="board-chart" ref=${ref}>${
      error
        ? html`<p class="chart-note">${error.text}</p>`
        : Lines && html`<${Lines} series=${card.series} spanMs=${card.span_s * 1_000} visible=${visible} />`
    }</div>`;
}

function TextCard({ card }) {
  const lines = useMemo(() => card.text.split("\n"), [card.text]);
  return html`${card.title && html`<${Head} card=${card} />`}
    <div class="card-text">${lines.map((line) => html`<p>${line || "\u00a0"}</p>`)}</div>`;
}

const HiddenCard = () => html`<p class="card-nothing"><${Icon} name="eye-off" />${t("card.hidden_text")}</p>`;

const KINDS = { value: ValueCard, gauge: GaugeCard, chart: ChartCard, text: TextCard, hidden: HiddenCard };

export function Card({ card, index }) {
  const Kind = KINDS[card.kind];
  return Kind
    ? html`<${Kind} card=${card} index=${index} />`
    : html`<${Head} card=${card} /><${Control} card=${card} />`;
}
