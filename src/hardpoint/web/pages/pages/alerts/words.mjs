// What rules and alerts are called: conditions in the reader's language, severities and states as word and shape.
import { html } from "../../vendor/preact.mjs";
import { deviceSignal } from "../../core/devices.mjs";
import { duration, numberParts, unitOf, valueParts } from "../../core/format.mjs";
import { t } from "../../core/i18n.mjs";
import { deviceHref } from "../../core/router.mjs";
import { Icon } from "../../ui/elements.mjs";

export const SEVERITIES = ["info", "warning", "critical"];

// The server tells a condition in English, with its key and numbers in these places (`Condition.__str__`).
const SENTENCES = [
  [/^(?<key>\S+) is above (?<a>\S+)$/, "above"],
  [/^(?<key>\S+) is below (?<a>\S+)$/, "below"],
  [/^(?<key>\S+) is outside (?<a>\S+) to (?<b>\S+)$/, "outside"],
  [/^(?<key>\S+) is (?<a>-?[\d.e+-]+) to (?<b>-?[\d.e+-]+)$/, "inside"],
  [/^(?<key>\S+) changes by more than (?<a>\S+) within (?<s>\S+) s$/, "changing"],
  [/^nothing comes$/, "silent"],
  [/^(?<key>\S+) is missing$/, "missing"],
  [/^(?<key>\S+) is not (?<a>.*)$/, "unequal"],
  [/^(?<key>\S+) is (?<a>.*)$/, "equal"],
];

/** A condition as the server tells it, in the reader's language and with units; a free expression stays as it is. */
export function conditionText(sentence) {
  for (const [pattern, kind] of SENTENCES) {
    const found = pattern.exec(sentence)?.groups ?? (pattern.test(sentence) ? {} : null);
    if (!found) continue;
    const { key = "", s } = found;
    const [a, b] = [found.a, found.b].map((text) => withUnit(key, text));
    return t(`condition.${kind}`, { key, a, b, within: s && duration(Number(s)) });
  }
  return sentence;
}

function withUnit(key, text) {
  const number = Number(text);
  if (text === undefined || text === "" || Number.isNaN(number)) return text;
  return numberParts(number, unitOf(key)).join(" ").trim();
}

/** A reading's value with its unit. */
export const valueText = (key, value) => valueParts(key, value).join(" ").trim();

/** The key that a told condition is about, for its unit; "" where it names none or several. */
export const keyOf = (sentence) => (/ (is|changes) /.test(sentence) ? sentence.split(" ")[0] : "");

/** Which devices a rule looks at. */
export function scopeText(scope) {
  const [kind, which] = [scope.slice(0, scope.indexOf(":")), scope.slice(scope.indexOf(":") + 1)];
  if (kind === "device") return nameOf(which);
  return scope === "all" ? t("scope.all") : t("scope.label", { label: which });
}

/** A device's name, or its id while that is all that is known. */
export const nameOf = (id) => deviceSignal(id).value?.name ?? id;

export function DeviceLink({ id }) {
  return html`<a href=${deviceHref(id)}>${nameOf(id)}</a>`;
}

const ICONS = { info: "bell", warning: "triangle-alert", critical: "circle-alert" };

/** A severity in word and shape. */
export function Severity({ severity }) {
  return html`<span class="severity ${severity}"><${Icon} name=${ICONS[severity]} />${t(`severity.${severity}`)}</span>`;
}

/** A rule's state on a device, or an alert's, as a badge. */
export function State({ state }) {
  return html`<span class="state ${state}">${t(`state.${state}`)}</span>`;
}
