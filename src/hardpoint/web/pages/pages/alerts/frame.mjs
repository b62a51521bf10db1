// What stands around every page about alerts: the heading and the way to the other ones.
import { html, useEffect } from "../../vendor/preact.mjs";
import { mayAs } from "../../core/api.mjs";
import { deviceIds, loadDevices } from "../../core/devices.mjs";
import { t } from "../../core/i18n.mjs";
import { firingAlerts } from "../../core/live.mjs";
import { route } from "../../core/router.mjs";
import { loadStyle } from "../../core/styles.mjs";
import { Icon } from "../../ui/elements.mjs";
import { Page } from "../../ui/shell.mjs";

await loadStyle("css/alerts.css");

const TABS = [
  ["alerts", "/alerts"],
  ["history", "/alerts/history"],
  ["rules", "/alerts/rules"],
  ["channels", "/alerts/channels", "operator"],
  ["quiet", "/alerts/quiet-hours"],
];

/** The names of devices are wanted on every page here; they may be known from the list already. */
export function useDeviceNames() {
  useEffect(() => void (deviceIds.peek() === null && loadDevices().catch(() => {})), []); // ids say enough meanwhile
}

/** `children` below the tabs; `crumb` where the page is none of them; `action` beside the heading. */
export function AlertsFrame({ crumb, title, action, children }) {
  useDeviceNames();
  const here = route.value.name;
  const tab = here === "rule" ? "rules" : here;
  const words = title ?? t(`alerts.tab_${tab}`);
  useEffect(() => void (document.title = `${words} · Hardpoint`), [words]);
  return html`<${Page} crumb=${crumb}>
    <div class="page-head"><h1>${title ?? t("nav.alerts")}</h1>${action}</div>
    <div class="chips-scroll tabs"><nav class="segments" aria-label=${t("nav.alerts")}>
      ${TABS.filter(([, , role]) => !role || mayAs(role)).map(
        ([
          name,
          href,
        ]) => html`<a key=${name} href=${href} aria-current=${name === here ? "page" : name === tab ? "true" : undefined}>
          ${t(`alerts.tab_${name}`)}
          ${
            name === "alerts" &&
            firingAlerts.value?.length > 0 &&
            html` <span class="count">${firingAlerts.value.length}
          </span>`
          }</a>`,
      )}
    </nav></div>
    ${children}
  <//>`;
}

/** The button that leads to a new rule, for those who may make one. */
export function NewRule() {
  return (
    mayAs("operator") &&
    html`<a class="button primary" href="/alerts/new-rule"><${Icon} name="plus" />${t("rules.add")}</a>`
  );
}
