// A rule as it stands in the form: every box a text, so that half-typed numbers stay as typed.
import { scalar } from "../device/commands.mjs";
import { t } from "../../core/i18n.mjs";
import { conditionWords } from "../alerts/words.mjs";
import { scopeFields } from "./scope.mjs";

/** Kinds of condition → the boxes that each has besides its key. */
export const KINDS = {
  above: ["value", "until"],
  below: ["value", "until"],
  outside: ["low", "high"],
  inside: ["low", "high"],
  equal: ["value"],
  unequal: ["value"],
  changing: ["by", "within_s"],
  missing: [],
  expression: ["text", "until"],
};

const EMPTY = {
  name: "",
  key: "",
  scope: "all",
  is: "above",
  value: "",
  until: "",
  low: "",
  high: "",
  bounds: undefined,
  by: "",
  within_s: 300,
  text: "",
  for_s: 0,
  severity: "warning",
  channels: [],
  repeat_s: null,
  method: "",
  params: undefined,
  device: undefined,
};

/** What the empty state offers; the words are the catalogue's. */
export const TEMPLATES = {
  hot: { key: "temp", is: "above", value: "30", until: "28", for_s: 300 },
  silent: { key: "", is: "missing", for_s: 600, severity: "critical" },
  battery: { key: "battery", is: "below", value: "20", until: "25", for_s: 0, severity: "info" },
};

/** A new draft: empty, from a template, for a scope. */
export function newDraft(template, scope) {
  const found = TEMPLATES[template];
  return { ...EMPTY, ...found, ...(found && { name: t(`template.${template}`) }), ...(scope && { scope }) };
}

/** The draft of a rule as the API gives it. */
export function draftOf(rule) {
  const { is, key = "", until, ...rest } = rule.when;
  const texts = Object.fromEntries(["value", "low", "high", "by", "text"].map((name) => [name, shown(rest[name])]));
  const { method = "", params, device } = rule.command ?? {};
  return {
    ...EMPTY,
    ...texts,
    is,
    key: key === "*" ? "" : key,
    until: Array.isArray(until) ? "" : shown(until),
    bounds: Array.isArray(until) ? until : undefined,
    within_s: rest.within_s ?? EMPTY.within_s,
    name: rule.name,
    scope: rule.scope,
    for_s: rule.for_s,
    severity: rule.severity,
    channels: rule.channels,
    repeat_s: rule.repeat_s,
    method,
    params,
    device,
  };
}

// A text that reads as a number or a boolean is quoted, or it would come back as one.
function shown(value) {
  if (value === undefined || value === null) return "";
  return typeof value === "string" && typeof scalar(value) === "string" ? value : JSON.stringify(value);
}

const number = (text) => (String(text).trim() === "" ? null : Number(text));

/** The condition as the API takes it. */
export function whenOf(draft) {
  const { is } = draft;
  const key = is === "missing" ? draft.key.trim() || "*" : draft.key.trim();
  if (is === "above" || is === "below") {
    const until = number(draft.until);
    return { key, is, value: number(draft.value), ...(until !== null && { until }) };
  }
  if (is === "outside" || is === "inside") {
    return { key, is, low: number(draft.low), high: number(draft.high), ...(draft.bounds && { until: draft.bounds }) };
  }
  if (is === "changing") return { key, is, by: number(draft.by), within_s: draft.within_s };
  if (is === "missing") return { key, is };
  if (is === "expression") return { is, text: draft.text, ...(draft.until.trim() && { until: draft.until }) };
  return { key, is, value: scalar(draft.value) };
}

/** Whether every box that the condition needs is filled in. */
export function isComplete(draft) {
  const optional = new Set(["until", "within_s"]);
  const named = draft.is === "missing" || draft.is === "expression" || draft.key.trim();
  const filled = KINDS[draft.is].every((box) => optional.has(box) || String(draft[box]).trim() !== "");
  return Boolean(named && filled) && (draft.is !== "missing" || draft.for_s >= 1);
}

/** A name for a rule that was given none: `temp is above 30 °C`. */
export function nameOf(draft) {
  const { key, is } = draft;
  if (is === "expression") return draft.text.slice(0, 60);
  if (is === "missing" && !key.trim()) return t("condition.silent");
  const [a, b] =
    is === "changing" ? [draft.by] : is === "inside" || is === "outside" ? [draft.low, draft.high] : [draft.value];
  return conditionWords(is, key.trim(), { a, b, s: draft.within_s }, scopeFields(draft.scope));
}

/** The rule as the API takes it. */
export function ruleOf(draft) {
  const { scope, for_s, severity, channels, repeat_s, method, params, device } = draft;
  return {
    name: draft.name.trim() || nameOf(draft),
    scope,
    when: whenOf(draft),
    for_s,
    severity,
    channels,
    repeat_s,
    command: method.trim() ? { method: method.trim(), params, ...(device && { device }) } : null,
  };
}

/** Lines to draw on a chart of the key: the limits, and where it ends. */
export function limitsOf(draft) {
  const boxes = {
    above: ["value", "until"],
    below: ["value", "until"],
    outside: ["low", "high"],
    inside: ["low", "high"],
  };
  const values = (boxes[draft.is] ?? []).map((box) => number(draft[box]));
  return values.flatMap((value, i) =>
    value === null || !Number.isFinite(value) ? [] : [{ value, end: boxes[draft.is][i] === "until" }],
  );
}
