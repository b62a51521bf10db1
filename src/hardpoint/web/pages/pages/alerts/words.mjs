// What rules and alerts say: conditions in the reader's language. The first view has it, so it has no more.
import { html } from "../../vendor/preact.mjs";
import { deviceSignal } from "../../core/devices.mjs";
import { converted, duration, labelOf, numberParts, shownUnit, unitOf, valueParts } from "../../core/format.mjs";
import { t } from "../../core/i18n.mjs";
import { deviceHref } from "../../core/router.mjs";

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

/**
 * A condition as the server tells it, in the reader's language, with labels and units: those of `fields` where they are
 * set. A free expression stays as it is.
 */
export function conditionText(sentence, fields) {
  for (const [pattern, kind] of SENTENCES) {
    const found = pattern.exec(sentence)?.groups ?? (pattern.test(sentence) ? {} : null);
    if (!found) continue;
    const { key = "", s } = found;
    return conditionWords(kind, key, found, fields, s);
  }
  return sentence;
}

/** The same of its parts: `a` and `b` are its numbers or texts, `within` seconds. */
export function conditionWords(kind, key, { a, b }, fields, within) {
  const [first, second] = [a, b].map((text) => withUnit(key, text, fields, kind === "changing"));
  const name = key && labelOf(key, fields);
  return t(`condition.${kind}`, { key: name, a: first, b: second, within: within && duration(Number(within)) });
}

/** A number of a stored unit in the one it is shown in; of a `difference` the zero is no matter. */
export const toShown = (value, unit, difference) => converted(value, unit) - (difference ? converted(0, unit) : 0);

function withUnit(key, text, fields, difference) {
  const number = Number(text);
  if (text === undefined || text === "" || Number.isNaN(number)) return text;
  const unit = unitOf(key, fields);
  return numberParts(toShown(number, unit, difference), shownUnit(unit)).join(" ").trim();
}

/** What an alert says was the matter. */
export const alertText = (alert) => conditionText(alert.text, fieldOf(alert));

/** The value beside an alert's, a standing's or a firing's `key`, with what is set of that key. */
export const valueText = (entry) => valueParts(entry.key ?? "", entry.value, fieldOf(entry)).join(" ").trim();

/** `label`, `unit` and `decimals` as the API gives them beside a value, as the fields of a device would have them. */
const fieldOf = ({ key, label, unit, decimals }) => (key ? { [key]: { label, unit, decimals } } : undefined);

/** A device's name, or its id while that is all that is known. */
export const nameOf = (id) => deviceSignal(id).value?.name ?? id;

export function DeviceLink({ id }) {
  return html`<a href=${deviceHref(id)}>${nameOf(id)}</a>`;
}
