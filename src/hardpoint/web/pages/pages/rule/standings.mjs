// How a rule stands on each device, and why it did or did not fire.
import { html, useEffect, useState } from "../../vendor/preact.mjs";
import { api } from "../../core/api.mjs";
import { absolute, duration, relative } from "../../core/format.mjs";
import { t } from "../../core/i18n.mjs";
import { onLive } from "../../core/live.mjs";
import { DeviceLink, State, valueText } from "../alerts/marks.mjs";

const ASK_EVERY_MS = 5_000;

/** What is asked for again and again while it is on screen, and at once when an alert begins or ends. */
export function usePolled(path) {
  const [state, setState] = useState({ answer: null, error: null });
  useEffect(() => {
    if (!path) return undefined;
    let current = true;
    const load = () =>
      api("GET", path).then(
        (answer) => current && setState({ answer, error: null }),
        (error) => current && setState((before) => ({ ...before, error })),
      );
    load();
    const timer = setInterval(() => document.hidden || load(), ASK_EVERY_MS);
    const undo = [onLive("alert", load), onLive("reset", load), () => clearInterval(timer)];
    return () => ((current = false), undo.forEach((each) => each()));
  }, [path]);
  return state;
}

/** Why, in the reader's language. The server's own words only for what no catalogue can know: what an error is about. */
export function whyText(standing, { for_s = 0 } = {}) {
  const { state, why, since, ts } = standing;
  if (state === "error") return why;
  if (state === "no_data") return ts === null ? t("standing.never") : t("standing.silent", { ago: relative(ts) });
  const known = ts === null ? "" : t("standing.value", { value: valueText(standing) });
  if (state === "normal") return known || t("standing.quiet");
  const held = t("standing.held", { ago: relative(since) });
  const wait = state === "pending" && for_s ? t("standing.pending", { time: duration(for_s) }) : "";
  return [known, held, wait].filter(Boolean).join(" · ");
}

export function Standings({ rule, standings }) {
  if (!standings?.length) return html`<p class="card-note">${t("standing.none")}</p>`;
  return html`<ul class="facts-list">${standings.map(
    (one) => html`<li key=${one.device}>
      <span class="fact-name"><${DeviceLink} id=${one.device} /></span>
      <${State} state=${one.state} />
      <span class="soft fact-why" title=${one.ts && absolute(one.ts)}>
        ${whyText(one, rule)}</span>
    </li>`,
  )}</ul>`;
}
