// Words: flat catalogues, one a language, with plurals by Intl.PluralRules.
import { signal } from "../vendor/preact.mjs";
import { recall, remember } from "./preferences.mjs";

/** Language tag → its own name. A new language is a catalogue in i18n/ and a line here. */
export const LOCALES = { en: "English", "zh-CN": "简体中文" };

/** The language on screen. */
export const locale = signal("en");
const catalogue = signal({});
let plural = new Intl.PluralRules("en");

/** The person's choice, else the first of the browser's languages that there is a catalogue for, else English. */
export function preferredLocale(chosen = recall("locale", ""), languages = navigator.languages) {
  if (chosen in LOCALES) return chosen;
  for (const language of languages) {
    const found = Object.keys(LOCALES).find((tag) => tag.split("-")[0] === language.toLowerCase().split("-")[0]);
    if (found) return found;
  }
  return "en";
}

let whole = false;
let underWay = null;

/**
 * Load a catalogue and show it; with `first` the part of it that the first view needs, which the server takes out of it
 * (joined.py). Rejects when it cannot be fetched; the language then stays as it was.
 */
export async function setLocale(tag, { first = false } = {}) {
  const response = await fetch(new URL(`../i18n/${first ? "first." : ""}${tag}.json`, import.meta.url));
  if (!response.ok) throw new Error(`catalogue ${tag}: HTTP ${response.status}`);
  catalogue.value = await response.json();
  whole = !first;
  plural = new Intl.PluralRules(tag);
  locale.value = tag;
  document.documentElement.lang = tag;
}

/** See to it that all words are there, before a page is shown that is not of the first view. Rejects as `setLocale`. */
export async function wholeCatalogue() {
  if (whole) return;
  underWay ??= setLocale(locale.peek()).finally(() => (underWay = null));
  await underWay;
}

/** `setLocale`, and remember it in this browser. */
export async function chooseLocale(tag) {
  await setLocale(tag);
  remember("locale", tag);
}

/** The text for a key, with `{name}` filled in. With `n` the key's `.one`, `.other` … form is taken. */
export function t(key, params) {
  const words = catalogue.value;
  let text = words[key];
  if (params && "n" in params) text = words[`${key}.${plural.select(params.n)}`] ?? words[`${key}.other`] ?? text;
  if (text === undefined) return key;
  return params ? text.replace(/\{(\w+)\}/g, (whole, name) => String(params[name] ?? whole)) : text;
}

/** Whether the catalogue has this key: for codes that come from the server. */
export const hasText = (key) => key in catalogue.value;
