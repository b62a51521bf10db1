// The filter language of the device list. The server's web/filters.py reads the same one and tells it in full; both are
// tested with the same table of cases.
import { presenceWord } from "./devices.mjs";

const TERM =
  /(?<not>-?)(?:(?<field>[^\s"~<>=!:-][^\s"~<>=!:]*)(?<op>>=|<=|!=|[:~><=]))?(?<value>"[^"]*"|[^\s"]*)(?=\s|$)/y;
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,3})?$/;
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
  const checks = [];
  const end = text.length;
  for (let at = afterSpace(text, 0); at < end; at = afterSpace(text, TERM.lastIndex)) {
    TERM.lastIndex = at;
    const found = TERM.exec(text);
    if (!found) throw new FilterError("quote", { column: at + 1 });
    checks.push(check(found));
  }
  return (device, at) => checks.every((holds) => holds(device, at));
}

function afterSpace(text, position) {
  while (position < text.length && /\s/.test(text[position])) position += 1;
  return position;
}

function check(found) {
  const { not, field, op, value: raw } = found.groups;
  const value = raw.replace(/^"|"$/g, "").toLowerCase();
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
  const number = NUMBER.test(value) ? Number(value) : null;
  if ("<>".includes(op[0])) {
    if (number === null) throw new FilterError("number", { term: field + op, column });
    return ofNumber(field, op, number);
  }
  const fits = compared(op, value);
  return (device) => {
    const found = op === ":" ? undefined : own(device.latest, field)?.value;
    if (found === undefined || found === null) {
      const label = own(device.labels, field);
      return label !== undefined && fits(label);
    }
    if (number !== null && typeof found === "number" && op !== "~") return (found === number) === (op === "=");
    return fits(typeof found === "string" ? found : JSON.stringify(found));
  };
}

const own = (object, key) => (Object.hasOwn(object, key) ? object[key] : undefined);

function ofNumber(key, op, limit) {
  const holds = {
    ">": (found) => found > limit,
    ">=": (found) => found >= limit,
    "<": (found) => found < limit,
    "<=": (found) => found <= limit,
  }[op];
  return (device) => {
    const found = own(device.latest, key)?.value;
    return typeof found === "number" && holds(found);
  };
}

const FIELDS = {
  is: ofPresence,
  seen: ofAge,
  ...Object.fromEntries(["name", "id", "label", "over", "from"].map((field) => [field, ofText])),
};
