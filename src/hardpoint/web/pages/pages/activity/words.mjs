// What was done, in words: deeds, what they were done to, how they ended, and what they changed.
import { absolute, duration } from "../../core/format.mjs";
import { hasText, t } from "../../core/i18n.mjs";

/** What was done, in words; a deed that the catalogue does not know is its own name. */
export function deedText(what, detail = {}) {
  const key = `deed.${what}`;
  if (detail.muted_until === 0 && hasText(`${key}_off`)) return t(`${key}_off`);
  return hasText(key) ? t(key) : what;
}

/** How it ended, where that is not well. */
export const resultText = (result) => (hasText(`error.${result}`) ? t(`error.${result}`) : result.replaceAll("_", " "));

/** The name of what it was done to, which says more than its id; after a change, the one that it has since. */
export function subjectName({ subject, detail }) {
  const name = isChange(detail.name) ? detail.name.to : detail.name;
  return typeof name === "string" && name ? name : subject;
}

const PAGES = { rules: "/alerts/rules/", dashboards: "/dashboards/" };

/** Where what it was done to is seen, if it has a page; what was removed since says so there. */
export function subjectHref({ what, subject, result }) {
  const base = PAGES[what.split(".")[0]];
  return base && subject && result === "done" && !/^\w+\.remove$/.test(what) ? base + encodeURIComponent(subject) : null;
}

const isNothing = (value) =>
  value === null || value === "" || (typeof value === "object" && Object.keys(value).length === 0);
const plain = (value) => (typeof value === "object" ? JSON.stringify(value) : String(value));

/** A value as it is read: labels as `site=north`, a list by commas, a time as one. */
function shown(name, value) {
  if (isNothing(value)) return "–";
  if (name === "expires" || name.endsWith("_until")) return absolute(value);
  if (name.endsWith("_s")) return duration(value);
  if (name === "disabled" || name === "enabled" || name === "gateway") return t(value ? "system.yes" : "system.no");
  if (name === "role") return t(`role.${value}`);
  if (Array.isArray(value)) return value.map(plain).join(", ");
  if (typeof value === "object") return Object.entries(value).map(([key, each]) => `${key}=${plain(each)}`).join(", ");
  return String(value);
}

const isChange = (value) => value !== null && typeof value === "object" && "from" in value && "to" in value;
const saidAlready = (name, value) => (name === "name" && !isChange(value)) || (name === "muted_until" && value === 0);
const labelOf = (name) => (hasText(`detail.${name}`) ? t(`detail.${name}`) : name);

/**
 * What changed, `name: a → b`; where that is not told, the names of what was sent to change it. The name of what it was
 * done to is no part of it: `subjectName` says it.
 */
export function detailText(what, { fields, ...detail }) {
  const parts = Object.entries(detail)
    .filter(([name, value]) => !isNothing(value) && !saidAlready(name, value))
    .map(([name, value]) =>
      isChange(value)
        ? `${labelOf(name)}: ${shown(name, value.from)} → ${shown(name, value.to)}`
        : `${labelOf(name)}: ${shown(name, value)}`,
    );
  if (!parts.length && /\.(change|set)$/.test(what))
    return (fields ?? []).filter((name) => name !== "items").map(labelOf).join(", ");
  return parts.join(" · ");
}
