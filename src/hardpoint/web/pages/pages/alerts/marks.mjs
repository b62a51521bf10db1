// Severities and states as word and shape; devices and values beside them.
import { html } from "../../vendor/preact.mjs";
import { valueParts } from "../../core/format.mjs";
import { t } from "../../core/i18n.mjs";
import { deviceHref } from "../../core/router.mjs";
import { Icon } from "../../ui/elements.mjs";
import { fieldOf, nameOf } from "./words.mjs";

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

/** The value beside an alert's, a standing's or a firing's `key`, with what is set of that key. */
export const valueText = (entry) => valueParts(entry.key ?? "", entry.value, fieldOf(entry)).join(" ").trim();

export function DeviceLink({ id }) {
  return html`<a href=${deviceHref(id)}>${nameOf(id)}</a>`;
}
