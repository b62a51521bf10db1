// What was done, in words: deeds, how they ended, and what they changed.
import { absolute } from "../../core/format.mjs";
import { hasText, t } from "../../core/i18n.mjs";

/** What was done, in words; a deed that the catalogue does not know is its own name. */
export const deedText = (what) => (hasText(`deed.${what}`) ? t(`deed.${what}`) : what);

/** How it ended, where that is not well. */
export const resultText = (result) => (hasText(`error.${result}`) ? t(`error.${result}`) : result.replaceAll("_", " "));

const isNothing = (value) =>
  value === null || value === "" || (typeof value === "object" && Object.keys(value).length === 0);

/** A value as it is read: labels as `site=north`, a list by commas, a time as one. */
function shown(name, value) {
  if (isNothing(value)) return "–";
  if (name === "expires") return absolute(value);
  if (Array.isArray(value)) return value.join(", ");
  if (typeof value === "object") return Object.entries(value).map(([key, each]) => `${key}=${each}`).join(", ");
  return String(value);
}

const isChange = (value) => value !== null && typeof value === "object" && "from" in value && "to" in value;

/** What changed, `name: a → b`; where that is not told, the names of what was sent to change it. */
export function detailText(what, { fields, ...detail }) {
  const parts = Object.entries(detail)
    .filter(([, value]) => !isNothing(value))
    .map(([name, value]) =>
      isChange(value)
        ? `${name}: ${shown(name, value.from)} → ${shown(name, value.to)}`
        : `${name}: ${shown(name, value)}`,
    );
  if (!parts.length && /\.(change|set)$/.test(what)) return (fields ?? []).join(", ");
  return parts.join(" · ");
}
