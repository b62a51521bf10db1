// The filter language of the device list. The server's web/filters.py reads the same one and tells it in full; both are
// tested with the same table of cases. A number without a unit is compared with what this person sees, and on the server,
// where nobody looks, with what was sent; `withUnits` says for a link which of them was meant.
import { deviceIds, deviceSignal, presenceWord } from "./devices.mjs";
import { converted, shownUnit, unitOf } from "./format.mjs";

const TERM =
  /(?<not>-?)(?:(?<field>[^\s"~<>=!:-][^\s"~<>=!:]*)(?<op>>=|<=|!=|[:~><=]))?(?<value>"[^"]*"|[^\s"]*)(?=\s|$)/y;
/** With the units of temperature, as keyboards have them. */
const NUMBER = /^([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d{1,3})?)(?:°?([cf])|([℃℉]))?$/;
const TEMPERATURES = { c: "°C", f: "°F", "℃": "°C", "℉": "°F" };
const COMPARING = new Set([">", "<", ">=", "<=", "=", "!="]);
const AGE = /^(\d+\.?\d*)([smhd])$/;
const UNITS_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const WORDS = ["online", "late", "offline", "never"];

/** What is wrong with a filter: the catalogue's `filter.<code>` with `params`, among them the `column`, from 1. */
export class FilterError extends Error {
  constructor(code, params) {
    super(code);
    this.code = code;
    this.params = params;
  }
}

/** `(device, at) => boolean` of a filter's text, `device` as the API gives it. Throws FilterError. */
export function parseFilter(text) {
  const checks = Array.from(terms(text), check);
  return (device, at) => checks.every((holds) => holds(device, at));
}

/**
 * The same filter with each temperature's unit behind it, which is the one that this person sees: a link to it finds the
 * same devices for who sees another. What lacks a quotation mark stays as it is.
 */
export function withUnits(text) {
  let made = "";
  let from = 0;
  try {
    for (const { index, 0: whole, groups } of terms(text)) {
      const unit = COMPARING.has(groups.op) && !Object.hasOwn(FIELDS, groups.field) && NUMBER.exec(unquoted(groups.value));
      const seen = unit && !unit[2] && !unit[3] && seenTemperature(groups.field);
      if (!seen) continue;
      const end = index + whole.length - (whole.endsWith('"') ? 1 : 0);
      made += text.slice(from, end) + seen;
      from = end;
    }
  } catch {
    return text;
  }
  return made + text.slice(from);
}

/** The unit of temperature that a key is seen in, `null` where it is none, or not the same for all that have it. */
function seenTemperature(key) {
  const guess = unitOf(key);
  const units = new Set();
  for (const id of deviceIds.peek() ?? []) {
    const device = deviceSignal(id).peek();
    if (device && Object.hasOwn(device.latest, key)) units.add(own(device.fields ?? {}, key)?.unit || guess);
  }
  const [unit] = units.size ? units : [guess];
  return units.size < 2 && Object.values(TEMPERATURES).includes(unit) ? shownUnit(unit) : null;
}

function* terms(text) {
  for (let at = afterSpace(text, 0); at < text.length; at = afterSpace(text, TERM.lastIndex)) {
    TERM.lastIndex = at;
    const found = TERM.exec(text);
    if (!found) throw new FilterError("quote", { column: at + 1 });
    yield found;
  }
}

const unquoted = (raw) => raw.replace(/^"|"$/g, "").toLowerCase();

function afterSpace(text, position) {
  while (position < text.length && /\s/.test(text[position])) position += 1;
  return position;
}

function check(found) {
  const { not, field, op, value: raw } = found.groups;
  const value = unquoted(raw);
  const negate = (holds) => (not ? (device, at) => !holds(device, at) : holds);
  // A minus alone is a word that somebody looks for.
  if (field === undefined) return raw ? negate(hasWord(value)) : hasWord(found[0]);
  const column = found.index + 1;
  if (!raw) throw new FilterError("empty", { term: field + op, column: column + not.length + field.length });
  return negate((Object.hasOwn(FIELDS, field) ? FIELDS[field] : ofKey)(field, op, value, column));
}

const hasWord = (word) => (device) =>
  [device.name, device.id, ...Object.entries(device.labels).map(([key, value]) => `${key}:${value}`)].some((each) =>
    each.toLowerCase().includes(word),
  );

/** How a text is compared, or `undefined`: not by this operator. */
function compared(op, value) {
  const values = value.split(",").filter(Boolean);
  if (!values.length) values.push(value);
  return {
    ":": (text) => values.some((each) => text.toLowerCase().startsWith(each)),
    "=": (text) => values.includes(text.toLowerCase()),
    "!=": (text) => !values.includes(text.toLowerCase()),
    "~": (text) => text.toLowerCase().includes(value),
  }[op];
}

function ofText(field, op, value, column) {
  const fits = compared(op, value);
  if (!fits) throw new FilterError("text", { field, column });
  return (device) => {
    if (field === "label") return Object.entries(device.labels).flat().some(fits);
    if (field === "name" || field === "id") return fits(device[field]);
    const { connected } = device.presence;
    return connected !== null && fits((field === "over" ? connected.dialect : connected.from) ?? "");
  };
}

function ofPresence(field, op, value, column) {
  const meant = value.split(",").flatMap((given) => {
    const words = given ? WORDS.filter((word) => word.startsWith(given)) : [];
    if (!words.length || !":=".includes(op)) throw new FilterError("presence", { word: given, column });
    return words;
  });
  return (device, at) => meant.includes(presenceWord(device.presence, at));
}

function ofAge(field, op, value, column) {
  const found = AGE.exec(value);
  if (!"<>".includes(op[0]) || !found) throw new FilterError("age", { field, column });
  const ageMs = Number(found[1]) * UNITS_MS[found[2]];
  // Of who never came, every time is longer ago.
  const past = ({ presence: { last_seen: seen } }, at) => seen === null || at - seen > ageMs;
  return op[0] === ">" ? past : (device, at) => !past(device, at);
}

function ofKey(field, op, value, column) {
  const [, text, letter, sign] = NUMBER.exec(value) ?? [];
  const limit = text === undefined ? null : Number(text);
  const number = numberIn(field, TEMPERATURES[letter ?? sign]);
  if ("<>".includes(op[0])) {
    if (limit === null) throw new FilterError("number", { term: field + op, column });
    return ofNumber(number, op, limit);
  }
  const fits = compared(op, value);
  return (device) => {
    const found = op === ":" ? undefined : own(device.latest, field)?.value;
    if (found === undefined || found === null) {
      const label = own(device.labels, field);
      return label !== undefined && fits(label);
    }
    if (limit === null || typeof found !== "number" || op === "~")
      return fits(typeof found === "string" ? found : JSON.stringify(found));
    const seen = number(device);
    return seen !== undefined && (seen === limit) === (op === "=");
  };
}

const own = (object, key) => (Object.hasOwn(object, key) ? object[key] : undefined);

/** The latest number of a key, in the temperature that is named, else as this person sees it; `undefined`: there is none. */
function numberIn(key, wanted) {
  const guess = unitOf(key);
  return (device) => {
    const found = own(device.latest, key)?.value;
    if (typeof found !== "number") return undefined;
    const set = own(device.fields ?? {}, key)?.unit;
    if (!wanted) {
      const seen = converted(found, set || guess);
      return seen === found ? found : rounded(seen);
    }
    // Who names one says that it is a temperature, whatever it is called.
    return inTemperature(found, set || (guess === "°F" ? guess : "°C"), wanted);
  };
}

function inTemperature(value, stored, wanted) {
  if (stored === wanted) return value;
  if (stored === "°C") return rounded(value * 1.8 + 32);
  return stored === "°F" ? rounded((value - 32) / 1.8) : undefined;
}

/** Without what a conversion leaves in the last digits: 21.5 °C is 70.7 °F. */
const rounded = (value) => (Math.abs(value) < 1e6 ? Math.round(value * 1e9) / 1e9 : value);

function ofNumber(number, op, limit) {
  const holds = {
    ">": (found) => found > limit,
    ">=": (found) => found >= limit,
    "<": (found) => found < limit,
    "<=": (found) => found <= limit,
  }[op];
  return (device) => {
    const found = number(device);
    return found !== undefined && holds(found);
  };
}

const FIELDS = {
  is: ofPresence,
  seen: ofAge,
  ...Object.fromEntries(["name", "id", "label", "over", "from"].map((field) => [field, ofText])),
};
