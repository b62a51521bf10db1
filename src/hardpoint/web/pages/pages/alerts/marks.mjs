// Severities and states as word and shape.
import { html } from "../../vendor/preact.mjs";
import { t } from "../../core/i18n.mjs";
import { Icon } from "../../ui/elements.mjs";

export const SEVERITIES = ["info", "warning", "critical"];

const ICONS = { info: "bell", warning: "triangle-alert", critical: "circle-alert" };

/** A severity in word and shape. */
export function Severity({ severity }) {
  return html`<span class="severity ${severity}"><${Icon} name=${ICONS[severity]} />${t(`severity.${severity}`)}</span>`;
}

/** A rule's state on a device, or an alert's, as a badge. */
export function State({ state }) {
  return html`<span class="state ${state}">${t(`state.${state}`)}</span>`;
}
