// Stretches of time side by side, each in the colour of a state and with its words where there is room for them.
import { html, useState } from "../../vendor/preact.mjs";
import { clock, day, duration } from "../../core/format.mjs";
import { loadStyle } from "../../core/styles.mjs";

await loadStyle("css/strips.css");

const DAY_MS = 86_400_000;
const LEAST_PX = 2; // css/strips.css has it as well

/** A time in a range that is `spanMs` long: with the day where the clock alone would not tell. */
export const moment = (ts, spanMs, seconds = false) =>
  spanMs > DAY_MS ? `${day(ts)} ${clock(ts, seconds)}` : clock(ts, seconds);

/** When a stretch was and how long: `14:02:11 – 14:10:20 · 8.2 min`. */
export const extent = ({ from, to }, spanMs) =>
  `${moment(from, spanMs, true)} – ${moment(to, spanMs, true)} · ${duration((to - from) / 1_000)}`;

/**
 * `stretches` are `[{from, to, text, kind}, …]` by time, within `from` and `to`; `kind` is the class that colours one.
 * `said` is all of it in words. The stretch under the pointer, or chosen with the arrow keys, is told to `onPoint`, and
 * `null` when there is none any more.
 */
export function Strip({ stretches, from, to, said, onPoint }) {
  const [at, setAt] = useState(null);
  const point = (index) => {
    setAt(index);
    onPoint(index === null ? null : stretches[index]);
  };
  const onKeyDown = (event) => {
    const last = stretches.length - 1;
    const next = { ArrowLeft: (at ?? last + 1) - 1, ArrowRight: (at ?? last - 1) + 1, Home: 0, End: last }[event.key];
    if (next === undefined || last < 0) return;
    event.preventDefault();
    point(Math.min(Math.max(next, 0), last));
  };
  const part = (ms) => `${(ms / (to - from)) * 100}%`;
  // The shortest stretch has LEAST_PX, at the end of the strip as well.
  const place = (each) => ({ left: `min(${part(each.from - from)}, 100% - ${LEAST_PX}px)`, width: part(each.to - each.from) });
  return html`<div class="strip" role="img" aria-label=${said} tabindex="0" onKeyDown=${onKeyDown}
    onBlur=${() => point(null)} onPointerLeave=${() => point(null)}>${stretches.map(
      (each, index) => html`<span key=${each.from} class="stretch ${each.kind} ${index === at ? "pointed" : ""}"
        style=${place(each)} onPointerEnter=${() => point(index)}>
        <span>${each.text}</span></span>`,
    )}</div>`;
}

/** The ends of a strip, below it. */
export function StripAxis({ from, to }) {
  const middle = (from + to) / 2;
  return html`<div class="strip-axis number" aria-hidden="true">${[from, middle, to].map(
    (ts) => html`<span key=${ts}>${moment(ts, to - from, to - from < 600_000)}</span>`,
  )}</div>`;
}
