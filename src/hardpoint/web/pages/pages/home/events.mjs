// What has happened: alerts that came and went, and what people, programs and rules did, with the cause.
import { html, useEffect, useState } from "../../vendor/preact.mjs";
import { api, mayAs } from "../../core/api.mjs";
import { t } from "../../core/i18n.mjs";
import { onLive } from "../../core/live.mjs";
import { deviceHref } from "../../core/router.mjs";
import { loadStyle } from "../../core/styles.mjs";
import { Ago, Icon, Problem } from "../../ui/elements.mjs";
import { deedText, resultText, subjectHref, subjectName } from "../activity/words.mjs";
import { alertText, nameOf } from "../alerts/words.mjs";

await loadStyle("css/home_later.css");

const SHOWN = 8;
const SOON_MS = 400;
const DEED_ICONS = { rule: "bell", token: "key-round", unix: "server", provision: "radio" };

/** Alerts' beginnings and ends and deeds as `{at, key, alert | deed, ended}`, the newest first. */
export function eventsOf(alerts, deeds) {
  return [
    ...alerts.map((alert) => ({ at: alert.fired, key: `a${alert.id}`, alert })),
    ...alerts
      .filter((alert) => alert.resolved !== null)
      .map((alert) => ({ at: alert.resolved, key: `e${alert.id}`, alert, ended: true })),
    ...deeds.map((deed) => ({ at: deed.at, key: `d${deed.id}`, deed })),
  ]
    .sort((a, b) => b.at - a.at)
    .slice(0, SHOWN);
}

/** `{events, error}`, kept as they happen. */
function useEvents() {
  const [state, setState] = useState({ events: null, error: null });
  const operator = mayAs("operator");
  useEffect(() => {
    let [current, timer] = [true, null];
    async function load() {
      timer = null;
      try {
        const [alerts, deeds] = await Promise.all([
          api("GET", `/alerts?limit=${SHOWN}`),
          operator ? api("GET", `/audit?limit=${SHOWN}`) : { items: [] },
        ]);
        if (current) setState({ events: eventsOf(alerts.items, deeds.items), error: null });
      } catch (error) {
        if (current) setState((before) => ({ ...before, error }));
      }
    }
    const soon = () => (timer ??= setTimeout(load, SOON_MS));
    load();
    const undo = ["alert", "audit", "reset"].map((name) => onLive(name, soon));
    return () => ((current = false), clearTimeout(timer), undo.forEach((each) => each()));
  }, [operator]);
  return state;
}

const Device = ({ id }) => html`<a href=${deviceHref(id)}>${nameOf(id)}</a>`;

function AlertEvent({ alert, ended }) {
  return html`<span class="event-mark ${ended ? "good" : alert.severity}"><${Icon} name=${ended ? "check" : "triangle-alert"} /></span>
    <span class="event-words"><strong>${alert.name}</strong> ${t(ended ? "home.ended" : "home.fired")}
      ${" "}<${Device} id=${alert.device} /><small>${alertText(alert)}</small></span>`;
}

/** What a deed was done to; who changed their own account is said already. */
function Subject({ deed }) {
  if (deed.device) return html`<${Device} id=${deed.device} />`;
  const href = subjectHref(deed);
  if (href) return html`<a href=${href}>${subjectName(deed)}</a>`;
  return deed.subject !== deed.who && html`<span>${subjectName(deed)}</span>`;
}

function DeedEvent({ deed }) {
  const bad = deed.result !== "done" && deed.result !== "begun";
  return html`<span class="event-mark ${bad ? "warning" : ""}"><${Icon} name=${DEED_ICONS[deed.via] ?? "user"} /></span>
    <span class="event-words"><strong>${deed.who || t("activity.somebody")}</strong> ${deedText(deed.what, deed.detail)}
      ${" "}<${Subject} deed=${deed} />
      ${(deed.why || bad) && html`<small>${bad ? resultText(deed.result) : t("activity.because", { why: deed.why })}</small>`}</span>`;
}

export function Events() {
  const { events, error } = useEvents();
  return html`<section class="card home-events" aria-labelledby="home-events">
    <header class="card-head"><h2 id="home-events">${t("home.events")}</h2>
      ${mayAs("operator") && html`<a class="home-more" href="/activity">${t("menu.activity")}<${Icon} name="chevron-right" /></a>`}
    </header>
    ${error && !events && html`<${Problem} error=${error} />`}
    ${events?.length === 0 && html`<p class="home-note">${t("home.no_events")}</p>`}
    ${
      events?.length > 0 &&
      html`<ul class="events">${events.map(
        ({ at, key, alert, ended, deed }) => html`<li key=${key}>
          ${deed ? html`<${DeedEvent} deed=${deed} />` : html`<${AlertEvent} alert=${alert} ended=${ended} />`}
          <span class="faint event-at"><${Ago} ts=${at} /></span></li>`,
      )}</ul>`
    }
  </section>`;
}
