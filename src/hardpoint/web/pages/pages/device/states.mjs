// Keys whose values are states and not numbers, such as a door that is open or closed: each a strip of the range.
import { html, useMemo, useRef, useState } from "../../vendor/preact.mjs";
import { absolute, duration, labelOf, now } from "../../core/format.mjs";
import { presenceWord } from "../../core/devices.mjs";
import { t } from "../../core/i18n.mjs";
import { IconButton } from "../../ui/elements.mjs";
import { useReadings } from "./readings.mjs";
import { extent, moment, Strip, StripAxis } from "./strip.mjs";
import { useVisible } from "./visible.mjs";

/** A longer text is a message and no state. */
const MOST_LETTERS = 32;
/** More states than this cannot be told apart by colour. */
const MOST_STATES = 8;
const TABLE_ROWS = 20;

/** Whether a value may be one of a few states. */
export const isState = (value) =>
  typeof value === "boolean" || (typeof value === "string" && value.length > 0 && value.length <= MOST_LETTERS);

const wordOf = (value) => (typeof value === "boolean" ? t(`states.${value}`) : value);

/**
 * `[{value, from, to}, …]` of `[[ts, value], …]`: a state holds until another one is reported, and the last one until
 * `until`. What was before `from` is cut off, and of the time before the first reading nothing is known.
 */
export function stretchesOf(points, from, until) {
  const found = [];
  points.forEach(([ts, value], i) => {
    const [start, end] = [Math.max(ts, from), Math.min(points[i + 1]?.[0] ?? until, until)];
    if (end < start) return;
    const last = found.at(-1);
    if (last && last.value === value) last.to = end;
    else found.push({ value, from: start, to: end });
  });
  return found;
}

/** `[[value, ms], …]`: how long each state was held, by the states' words. */
export function held(stretches) {
  const sums = new Map();
  for (const { value, from, to } of stretches) sums.set(value, (sums.get(value) ?? 0) + to - from);
  return [...sums].sort(([one], [other]) => (String(one) < String(other) ? -1 : 1));
}

/** Until when a device's states are known to hold: of one that has gone, until it was last seen. */
function knownUntil({ presence }) {
  const here = ["online", "late"].includes(presenceWord(presence, now.value));
  return here ? now.value : (presence.last_seen ?? 0);
}

/** All of a strip in words. */
function said(name, stretches, from, span) {
  const last = stretches.at(-1);
  const state = wordOf(last.value);
  const changes = stretches.length - 1;
  if (changes || last.from > from) return t("strips.said", { name, state, at: moment(last.from, span, true), n: changes });
  return t("strips.said_all", { name, state });
}

function Row({ device, name, spanMs, zoom, table }) {
  const ref = useRef(null);
  const visible = useVisible(ref);
  const [pointed, setPointed] = useState(null);
  const { points, agg, error } = useReadings(device.id, name, { spanMs, zoom, visible, states: true });
  const until = Math.max(knownUntil(device), points?.at(-1)?.[0] ?? 0);
  const to = zoom?.to ?? Math.max(now.value, points?.at(-1)?.[0] ?? 0);
  const from = zoom?.from ?? to - spanMs;
  const stretches = useMemo(() => stretchesOf(points ?? [], from, Math.min(until, to)), [points, from, until, to]);
  const sums = held(stretches);
  const places = new Map(sums.map(([value], place) => [value, place]));
  const kindOf = (value) => (typeof value === "boolean" ? (value ? "on" : "off") : `text series-${places.get(value)}`);
  const label = labelOf(name, device.fields);
  const drawn = stretches.map(({ value, ...when }) => ({ ...when, text: wordOf(value), kind: kindOf(value) }));
  const known = stretches.at(-1)?.to ?? from;
  const gone = Math.min(to, now.value);
  if (stretches.length && known < gone) drawn.push({ from: known, to: gone, text: t("strips.unknown"), kind: "unknown" });
  const varied = sums.length > MOST_STATES;
  return html`<div class="strip-row" ref=${ref}>
    <div class="strip-head">
      <h3 title=${name}>${label}</h3>
      ${
        pointed
          ? html`<span class="strip-at number"><bdi>${pointed.text}</bdi> · ${extent(pointed, to - from)}</span>`
          : !varied &&
            html`<ul class="strip-sums number">${sums.map(
              ([value, ms]) => html`<li key=${String(value)} title=${t("strips.held", { state: wordOf(value) })}>
                <i class="${kindOf(value)}"></i><bdi>${wordOf(value)}</bdi> <span class="faint">${duration(ms / 1_000)}</span></li>`,
            )}</ul>`
      }
    </div>
    ${
      error && !points
        ? html`<p class="strip-note">${error.text}</p>`
        : !points
          ? html`<p class="strip-note" role="status">${t("state.loading")}</p>`
          : !stretches.length
            ? html`<p class="strip-note">${t("chart.none")}</p>`
            : varied
              ? html`<p class="strip-note">${t("strips.varied", { n: sums.length })}</p>`
              : table
                ? html`<${Table} label=${label} stretches=${stretches} />`
                : html`<${Strip} stretches=${drawn} from=${from} to=${to} onPoint=${setPointed}
                    said=${said(label, stretches, from, to - from)} />`
    }
    ${agg === "last" && !varied && html`<p class="hint">${t("strips.thinned")}</p>`}
  </div>`;
}

function Table({ label, stretches }) {
  return html`<div class="strip-table" tabindex="0" role="region" aria-label=${label}><table>
    <thead><tr><th scope="col">${t("strips.state")}</th><th scope="col">${t("strips.from")}</th>
      <th scope="col">${t("strips.for")}</th></tr></thead>
    <tbody>${stretches
      .slice(-TABLE_ROWS)
      .reverse()
      .map(
        ({ value, from, to }) => html`<tr key=${from}><td><bdi>${wordOf(value)}</bdi></td><td>${absolute(from)}</td>
          <td class="number">${duration((to - from) / 1_000)}</td></tr>`,
      )}</tbody>
  </table></div>`;
}

/** The strips of a device's states over the range of its charts; `keys` are those of them. */
export function StateStrips({ device, keys, spanMs, zoom }) {
  const [table, setTable] = useState(false);
  const to = zoom?.to ?? now.value;
  return html`<section class="card strips" aria-labelledby="strips-title">
    <header class="card-head"><h2 id="strips-title">${t("strips.title")}</h2>
      <${IconButton} icon=${table ? "activity" : "table-2"} small label=${t(table ? "strips.as_strips" : "chart.as_table")}
        aria-pressed=${table} onClick=${() => setTable(!table)} /></header>
    ${keys.map((key) => html`<${Row} key=${key} device=${device} name=${key} spanMs=${spanMs} zoom=${zoom} table=${table} />`)}
    ${!table && html`<${StripAxis} from=${zoom?.from ?? to - spanMs} to=${to} />`}
  </section>`;
}
