// Numbers, units and times as people read them, in the language on screen.
import { signal } from "../vendor/preact.mjs";
import { locale, t } from "./i18n.mjs";
import { hourCycle, temperatureUnit, timeZone } from "./preferences.mjs";

/** Now in ms, in steps of 5 s: relative times change with it, so that a page of them stays calm. */
export const now = signal(Date.now());
setInterval(() => document.hidden || (now.value = Date.now()), 5_000);
document.addEventListener("visibilitychange", () => (now.value = Date.now()));

const formats = new Map();

/** An Intl object, made once for each language and kind: making one costs more than a hundred uses. */
function cached(Kind, name, options) {
  const id = `${locale.value}/${name}`;
  let format = formats.get(id);
  if (!format) formats.set(id, (format = new Kind(locale.value, options)));
  return format;
}

/** The same for times, in the person's zone. */
const times = (name, options) =>
  cached(Intl.DateTimeFormat, `${timeZone.value}/${hourCycle.value}/${name}`, {
    timeZone: timeZone.value || undefined,
    ...options,
  });

/** How far the person's zone is behind UTC at a time, ms: below 0 in the east, as `Date.getTimezoneOffset` has it. */
export function zoneOffset(ts) {
  if (!timeZone.value) return new Date(ts).getTimezoneOffset() * 60_000;
  const format = times("o", {
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
    calendar: "gregory",
    numberingSystem: "latn",
  });
  const parts = Object.fromEntries(format.formatToParts(ts).map(({ type, value }) => [type, Number(value)]));
  const { year, month, day: date, hour, minute, second } = parts;
  return Math.floor(ts / 1_000) * 1_000 - Date.UTC(year, month - 1, date, hour, minute, second);
}

/** `2026-11-23T14:05` in the person's zone, as an input for a time has it. */
export const toWallClock = (ts) => new Date(ts - zoneOffset(ts)).toISOString().slice(0, 16);

/** The time that such a text says in the person's zone, NaN where it says none. */
export function fromWallClock(text) {
  const asUtc = Date.parse(`${text}Z`);
  // The zone's distance is that of the time sought: nearly right at first, and right from there.
  return Number.isNaN(asUtc) ? asUtc : asUtc + zoneOffset(asUtc + zoneOffset(asUtc));
}

/** The unit a stored one is shown in. */
export const shownUnit = (unit) => (unit === "°C" ? temperatureUnit.value : unit);

/** Whether numbers of a stored unit are shown in another; a unit that somebody has set to °F is what is sent. */
const inFahrenheit = (unit) => unit === "°C" && temperatureUnit.value === "°F";

/** A number of a stored unit in the one it is shown in. */
export const converted = (value, unit) => (inFahrenheit(unit) ? value * 1.8 + 32 : value);

/** Units that stand at the end of a key: whoever writes `pressure_bar` means bar. */
const ENDINGS = {
  "pa": "Pa", "hpa": "hPa", "kpa": "kPa", "bar": "bar", "mbar": "mbar", "psi": "psi", "mv": "mV", "ma": "mA", "kw": "kW",
  "wh": "Wh", "kwh": "kWh", "va": "VA", "g": "g", "kg": "kg", "mm": "mm", "cm": "cm", "km": "km", "kmh": "km/h",
  "mps": "m/s", "rpm": "rpm", "lx": "lx", "ppm": "ppm", "ppb": "ppb", "db": "dB", "dbm": "dBm", "pct": "%",
};

/** Unit of a key, guessed from its name. The first row that matches wins; the order is from particular to general. */
const UNITS = [
  [/bytes_per_s$/, "B/s"],
  [/per_s$/, "/s"],
  [/(^|[._-])bytes$/, "B"],
  [/(wind|gust|speed|velocity)[\w.]*_ms$/i, "m/s"],
  [/(temp|temperature|dew_?point)_f$|fahrenheit$/i, "°F"],
  ...Object.entries(ENDINGS).map(([ending, unit]) => [new RegExp(`_${ending}$`, "i"), unit]),
  [/percent$/i, "%"],
  [/(^|[._-])(temp|temperature|dew_?point)([._-]|\d|$)|^thermal\.|_c$/i, "°C"],
  [/(^|[._-])(hum|humidity|rh|soil|moisture|soc)([._-]|$)/i, "%"],
  [/(^|[._-])(pressure|baro|hpa)([._-]|$)/i, "hPa"],
  [/(^|[._-])co2([._-]|$)/i, "ppm"],
  [/(^|[._-])(lux|illuminance)([._-]|$)/i, "lx"],
  [/(^|[._-])(rssi|snr_dbm)([._-]|$)/i, "dBm"],
  [/(^|[._-])(volt|voltage|batt_v|vcc|vbat)([._-]|$)|_v$/i, "V"],
  [/(^|[._-])(current|amps)([._-]|$)|_a$/i, "A"],
  [/(^|[._-])(power|watts)([._-]|$)|_w$/i, "W"],
  [/(^|[._-])(energy|kwh)([._-]|$)/i, "kWh"],
  [/(^|[._-])pm(1|2_?5|10)([._-]|$)/i, "µg/m³"],
  [/_ms$/, "ms"],
  [/_s$/, "s"],
  [/_hz$/i, "Hz"],
];

/** The unit of a key's numbers: as set in its device's `fields`, else as its name tells, else "". */
export const unitOf = (key, fields) =>
  fields?.[key]?.unit || (UNITS.find(([pattern]) => pattern.test(key))?.[1] ?? "");

/** What a key is called: as set in its device's `fields`, else itself. */
export const labelOf = (key, fields) => fields?.[key]?.label || key;

/** Units whose sensors are no better than a tenth. */
const COARSE = new Set(["%", "°C", "°F", "hPa", "dBm", "B", "B/s"]);
export const BYTE_STEPS = ["", "k", "M", "G", "T", "P"];

/** Which prefix a number of bytes takes: 0 for none, 1 for k … Other units take none. */
export function byteStep(value, unit) {
  if (!unit.startsWith("B")) return 0;
  return Math.min(BYTE_STEPS.length - 1, Math.max(0, Math.floor(Math.log10(Math.abs(value) || 1) / 3)));
}

export const fixed = (digits) =>
  cached(Intl.NumberFormat, `f${digits}`, { minimumFractionDigits: digits, maximumFractionDigits: digits });

/**
 * A number of a stored unit and the unit it is shown in, apart, so that the unit can be set smaller: `["21.5", "°C"]`.
 * Bytes get a prefix. With `decimals` it has just so many.
 */
export function numberParts(stored, storedUnit = "", decimals = null) {
  let value = converted(stored, storedUnit);
  const unit = shownUnit(storedUnit);
  if (decimals !== null) return [fixed(decimals).format(value), unit];
  const step = byteStep(value, unit);
  const prefix = BYTE_STEPS[step];
  value /= 1000 ** step;
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e9)) {
    return [
      cached(Intl.NumberFormat, "e", { notation: "scientific", maximumFractionDigits: 3 }).format(value),
      prefix + unit,
    ];
  }
  const digits = COARSE.has(unit) || size >= 100 ? (size >= 1000 ? 0 : 1) : size >= 1 ? 2 : 3;
  return [
    cached(Intl.NumberFormat, `n${digits}`, { maximumFractionDigits: digits, signDisplay: "negative" }).format(value),
    prefix + unit,
  ];
}

/** Any reading's value and unit as text: `["true", ""]`, `["21.5", "°C"]`, `["{\"a\":1}", ""]`. */
export function valueParts(key, value, fields) {
  if (typeof value === "number") return numberParts(value, unitOf(key, fields), fields?.[key]?.decimals ?? null);
  return [typeof value === "string" ? value : JSON.stringify(value), ""];
}

/** `12 s ago` in steps that suit the distance; "just now" below 10 s, so that a live page does not flicker. */
export function relative(ts, at = now.value) {
  const seconds = Math.max(0, Math.round((at - ts) / 1000));
  if (seconds < 10) return t("time.now");
  const format = cached(Intl.RelativeTimeFormat, "r", { style: "short" });
  if (seconds < 60) return format.format(-Math.floor(seconds / 10) * 10, "second");
  if (seconds < 3_600) return format.format(-Math.floor(seconds / 60), "minute");
  if (seconds < 86_400) return format.format(-Math.floor(seconds / 3_600), "hour");
  return format.format(-Math.floor(seconds / 86_400), "day");
}

/** Date and time to the second: tooltips and lists. */
export const absolute = (ts) =>
  times("a", { dateStyle: "medium", timeStyle: "medium", hourCycle: hourCycle.value }).format(ts);

/** Time of day; to the second with `seconds`. */
export const clock = (ts, seconds = false) =>
  times(`c${seconds}`, {
    hour: "2-digit",
    minute: "2-digit",
    second: seconds ? "2-digit" : undefined,
    hourCycle: hourCycle.value,
  }).format(ts);

/** Day and month. */
export const day = (ts) => times("d", { day: "numeric", month: "short" }).format(ts);

/** Month and year. */
export const month = (ts) => times("m", { month: "short", year: "numeric" }).format(ts);

/** The year alone. */
export const year = (ts) => times("y", { year: "numeric" }).format(ts);

/** A length of time in its largest fitting unit: `42 ms`, `1.5 s`, `10 s`, `2.5 min`. */
export function duration(seconds) {
  const [value, unit] =
    seconds < 1
      ? [seconds * 1000, "millisecond"]
      : seconds < 120
        ? [seconds, "second"]
        : seconds < 7_200
          ? [seconds / 60, "minute"]
          : seconds < 172_800
            ? [seconds / 3_600, "hour"]
            : [seconds / 86_400, "day"];
  const digits = unit === "millisecond" || value >= 10 ? 0 : 1;
  return cached(Intl.NumberFormat, `${unit}${digits}`, {
    style: "unit",
    unit,
    unitDisplay: "short",
    maximumFractionDigits: digits,
  }).format(value);
}
