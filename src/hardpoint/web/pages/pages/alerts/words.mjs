// What rules and alerts say: conditions in the reader's language. Fetched behind the first view.
import { deviceSignal } from "../../core/devices.mjs";
import { converted, duration, labelOf, numberParts, shownUnit, unitOf } from "../../core/format.mjs";
import { t } from "../../core/i18n.mjs";

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

/** A condition as the server tells it, in the reader's language, with labels and units. */
export function conditionText(sentence, fields) {
  for (const [pattern, kind] of SENTENCES) {
    const found = pattern.exec(sentence);
    if (found) return conditionWords(kind, found.groups?.key ?? "", found.groups ?? {}, fields);
  }
  return sentence;
}

/** The same of its parts: numbers or texts `a` and `b`, `s` seconds. */
export function conditionWords(kind, key, { a, b, s }, fields) {
  const unit = unitOf(key, fields);
  const [low, high] = [a, b].map((text) => {
    if (!text || Number.isNaN(Number(text))) return text;
    return numberParts(toShown(Number(text), unit, kind === "changing"), shownUnit(unit)).join(" ").trim();
  });
  return t(`condition.${kind}`, { key: labelOf(key, fields), a: low, b: high, within: s && duration(Number(s)) });
}

/** A number of a stored unit in the one it is shown in; of a `difference` the zero is no matter. */
export const toShown = (value, unit, difference) => converted(value, unit) - (difference ? converted(0, unit) : 0);

/** What an alert says was the matter. */
export const alertText = (alert) => conditionText(alert.text, fieldOf(alert));

/** `label`, `unit` and `decimals` as the API gives them beside a value, as the fields of a device would have them. */
export const fieldOf = ({ key, label, unit, decimals }) => (key ? { [key]: { label, unit, decimals } } : undefined);

/** A device's name, or its id while that is all that is known. */
export const nameOf = (id) => deviceSignal(id).value?.name ?? id;
