// What fires now: who is told, who sees to it, and for how long it may be silent.
import { html, useState } from "../vendor/preact.mjs";
import { loadFiring } from "../core/alerts.mjs";
import { firingAlerts } from "../core/live.mjs";
import { mayAs, api } from "../core/api.mjs";
import { clock, now } from "../core/format.mjs";
import { t } from "../core/i18n.mjs";
import { applyAlert } from "../core/alerts.mjs";
import { Ago, Empty, Icon, Loading } from "../ui/elements.mjs";
import { Menu } from "../ui/menu.mjs";
import { toastError } from "../ui/toast.mjs";
import { AlertsFrame, NewRule } from "./alerts/frame.mjs";
import { conditionText, DeviceLink, keyOf, Severity, valueText } from "./alerts/words.mjs";

const HOUR_S = 3_600;

/** The choices of a bell: silent for a time, or not any more. `mute(seconds)`. */
export const muteItems = (muted, mute) => [
  { label: t("alert.mute_1h"), icon: "bell-off", run: () => mute(HOUR_S) },
  { label: t("alert.mute_8h"), icon: "bell-off", run: () => mute(8 * HOUR_S) },
  ...(muted ? ["-", { label: t("alert.unmute"), icon: "bell", run: () => mute(0) }] : []),
];

function Alert({ alert }) {
  const [busy, setBusy] = useState(false);
  const may = mayAs("operator");
  const muted = alert.muted_until > now.value;
  const act = (action, body) => {
    setBusy(true);
    api("POST", `/alerts/${alert.id}/${action}`, body)
      .then(applyAlert, (error) => (toastError(error), loadFiring().catch(() => {})))
      .finally(() => setBusy(false));
  };
  return html`<li class="alert ${alert.severity}">
    <div class="alert-main">
      <${Severity} severity=${alert.severity} />
      <a class="alert-name" href="/alerts/rules/${encodeURIComponent(alert.rule)}">${alert.name}</a>
      <p class="alert-what"><${DeviceLink} id=${alert.device} /> <span class="soft">${conditionText(alert.text)}</span>
        ${
          alert.value !== null &&
          html` <span class="alert-value number">${valueText(keyOf(alert.text), alert.value)}
        </span>`
        }</p>
      <p class="hint">${t("alert.since")} <${Ago} ts=${alert.since} />
        ${alert.acknowledged && html` · ${t("alert.seen_by", { name: alert.acknowledged_by })}`}
        ${muted && html` · ${t("alert.muted_until", { at: clock(alert.muted_until) })}`}</p>
    </div>
    ${
      may &&
      html`<div class="alert-acts">
      ${
        alert.acknowledged
          ? html`<span class="state normal"><${Icon} name="check" />${t("alert.acknowledged")}</span>`
          : html`<button type="button" class="button" disabled=${busy} onClick=${() => act("acknowledge")}>
            <${Icon} name="check" />${t("alert.acknowledge")}</button>`
      }
      <${Menu} icon=${muted ? "bell-off" : "bell"} label=${t("alert.mute", { name: alert.name })}
        items=${muteItems(muted, (for_s) => act("mute", { for_s }))} />
    </div>`
    }
  </li>`;
}

export default function AlertsPage() {
  const firing = firingAlerts.value;
  return html`<${AlertsFrame} action=${html`<${NewRule} />`}>
    ${
      firing === null
        ? html`<${Loading} />`
        : firing.length
          ? html`<ul class="card alerts">${firing.map((alert) => html`<${Alert} key=${alert.id} alert=${alert} />`)}</ul>`
          : html`<div class="card"><${Empty} icon="check" title=${t("alerts.none_title")}>
            <p>${t("alerts.none_text")}</p>
            <a class="button" href="/alerts/rules">${t("alerts.to_rules")}</a><//></div>`
    }
  <//>`;
}
