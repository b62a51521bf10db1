// What fires now: who is told, who sees to it, and for how long it may be silent.
import { html, useState } from "../vendor/preact.mjs";
import { loadFiring } from "../core/alerts.mjs";
import { firingAlerts } from "../core/live.mjs";
import { api, devicePath, mayAs } from "../core/api.mjs";
import { deviceSignal } from "../core/devices.mjs";
import { now } from "../core/format.mjs";
import { t } from "../core/i18n.mjs";
import { applyAlert } from "../core/alerts.mjs";
import { Ago, Empty, Icon, Loading } from "../ui/elements.mjs";
import { Menu } from "../ui/menu.mjs";
import { toast, toastError } from "../ui/toast.mjs";
import { AlertsFrame, NewRule } from "./alerts/frame.mjs";
import { HOUR_S, muteItems, until } from "./alerts/mute.mjs";
import { DeviceLink, Severity, valueText } from "./alerts/marks.mjs";
import { alertText, nameOf } from "./alerts/words.mjs";

/** What may be silent: the alert itself, all of its rule, all on its device. Their own pages offer other times. */
function silenceItems(alert, mute) {
  const { until: ends, by } = alert.silent ?? {};
  const silent = ends > now.value;
  const device = deviceSignal(alert.device).value;
  const ofRule = mute(`/rules/${encodeURIComponent(alert.rule)}`);
  const ofDevice = mute(devicePath(alert.device));
  const name = device?.name ?? alert.device;
  return [
    ...muteItems(alert.muted_until > now.value, mute(`/alerts/${alert.id}`)),
    "-",
    silent && by === "rule"
      ? { label: t("alert.unmute_rule"), icon: "bell", run: () => ofRule(0) }
      : { label: t("alert.mute_rule"), icon: "bell-off", run: () => ofRule(8 * HOUR_S) },
    device?.muted_until > now.value || (silent && by === "device")
      ? { label: t("alert.unmute_device", { name }), icon: "bell", run: () => ofDevice(0) }
      : { label: t("alert.mute_device", { name }), icon: "bell-off", run: () => ofDevice(8 * HOUR_S) },
  ];
}

/** `choose(id, on)` where there are several to choose from; of one that somebody sees to the place stays empty. */
function Alert({ alert, chosen, choose }) {
  const [busy, setBusy] = useState(false);
  const may = mayAs("operator");
  const silent = alert.silent?.until > now.value;
  const act = (path, body, then) => {
    setBusy(true);
    api("POST", path, body)
      .then(then, (error) => (toastError(error), loadFiring().catch(() => {})))
      .finally(() => setBusy(false));
  };
  // What a rule's or a device's silence changes of its alerts comes over the live stream.
  const mute = (path) => (for_s) => act(`${path}/mute`, { for_s }, () => {});
  return html`<li class="alert ${alert.severity}">
    ${
      choose &&
      (alert.acknowledged
        ? html`<i class="alert-box"></i>`
        : html`<input type="checkbox" class="alert-box" checked=${chosen}
          aria-label=${t("alert.choose", { name: alert.name, device: nameOf(alert.device) })}
          onChange=${(e) => choose(alert.id, e.target.checked)} />`)
    }
    <div class="alert-main">
      <${Severity} severity=${alert.severity} />
      <a class="alert-name" href="/alerts/rules/${encodeURIComponent(alert.rule)}">${alert.name}</a>
      <p class="alert-what"><${DeviceLink} id=${alert.device} /> <span class="soft">${alertText(alert)}</span>
        ${
          alert.value !== null &&
          html` <span class="alert-value number">${valueText(alert)}
        </span>`
        }</p>
      <p class="hint">${t("alert.since")} <${Ago} ts=${alert.since} />
        ${alert.acknowledged && html` · ${t("alert.seen_by", { name: alert.acknowledged_by })}`}
        ${silent && html` · ${t(`alert.silent_${alert.silent.by}`, { at: until(alert.silent.until) })}`}</p>
    </div>
    ${
      may &&
      html`<div class="alert-acts">
      ${
        alert.acknowledged
          ? html`<span class="state normal"><${Icon} name="check" />${t("alert.acknowledged")}</span>`
          : html`<button type="button" class="button" disabled=${busy} onClick=${() => act(`/alerts/${alert.id}/acknowledge`, undefined, applyAlert)}>
            <${Icon} name="check" />${t("alert.acknowledge")}</button>`
      }
      <${Menu} icon=${silent ? "bell-off" : "bell"} label=${t("alert.mute", { name: alert.name })}
        items=${silenceItems(alert, mute)} />
    </div>`
    }
  </li>`;
}

/** Above the list: all of those that nobody sees to, and what is done with the chosen. */
function Together({ open, chosen, setChosen }) {
  const [busy, setBusy] = useState(false);
  const ids = open.filter((id) => chosen.has(id));
  const acknowledge = () => {
    setBusy(true);
    api("POST", "/alerts/acknowledge", { alerts: ids })
      .then(({ items, refused }) => {
        items.forEach(applyAlert);
        setChosen(new Set());
        toast(t("alerts.acknowledged", { n: items.length }));
        if (refused.length) loadFiring().catch(() => {}); // they ended meanwhile, or another person was quicker
      }, toastError)
      .finally(() => setBusy(false));
  };
  return html`<div class="alerts-together">
    <label><input type="checkbox" class="alert-box" checked=${ids.length === open.length}
      indeterminate=${ids.length > 0 && ids.length < open.length}
      onChange=${(e) => setChosen(new Set(e.target.checked ? open : []))} />${t("alerts.choose_all")}</label>
    <span class="soft number" role="status">${ids.length > 0 && t("alerts.chosen", { n: ids.length })}</span>
    <button type="button" class="button small" disabled=${busy || !ids.length} onClick=${acknowledge}>
      <${Icon} name="check" />${t("alerts.acknowledge")}</button>
  </div>`;
}

function Firing({ firing }) {
  const [chosen, setChosen] = useState(new Set());
  const open = mayAs("operator") ? firing.filter((alert) => !alert.acknowledged).map(({ id }) => id) : [];
  const many = open.length > 1;
  const choose = (id, on) =>
    setChosen((before) => new Set(on ? [...before, id] : [...before].filter((each) => each !== id)));
  return html`<div class="card">
    ${many && html`<${Together} open=${open} chosen=${chosen} setChosen=${setChosen} />`}
    <ul class="alerts">${firing.map(
      (alert) => html`<${Alert} key=${alert.id} alert=${alert} choose=${many && choose}
        chosen=${chosen.has(alert.id)} />`,
    )}</ul></div>`;
}

export default function AlertsPage() {
  const firing = firingAlerts.value;
  return html`<${AlertsFrame} action=${html`<${NewRule} />`}>
    ${
      firing === null
        ? html`<${Loading} />`
        : firing.length
          ? html`<${Firing} firing=${firing} />`
          : html`<div class="card"><${Empty} icon="check" title=${t("alerts.none_title")}>
            <p>${t("alerts.none_text")}</p>
            <a class="button" href="/alerts/rules">${t("alerts.to_rules")}</a><//></div>`
    }
  <//>`;
}
