// What this browser remembers. Everything is optional: where storage is blocked the defaults hold.
import { computed, effect, signal } from "../vendor/preact.mjs";

const PREFIX = "hardpoint.";

/** The stored text, or `fallback` where there is none or storage is blocked. */
export function recall(name, fallback) {
  try {
    return localStorage.getItem(PREFIX + name) ?? fallback;
  } catch {
    return fallback;
  }
}

/** Store a text; silently nothing where storage is blocked. */
export function remember(name, text) {
  try {
    localStorage.setItem(PREFIX + name, text);
  } catch {
    // Private windows and blocked cookies: the choice then holds for this page only.
  }
}

/** `system`, `light` or `dark`: what the person chose. */
export const theme = signal(recall("theme", "system"));

/** A choice that this browser keeps. */
function kept(name, usual) {
  const choice = signal(recall(name, usual));
  effect(() => remember(name, choice.value));
  return choice;
}

/** The zone that times are shown in, as Europe/Berlin; "" for the browser's own. */
export const timeZone = kept("zone", "");
/** `h23` or `h12`. */
export const hourCycle = kept("hours", "h23");
/** `°C` or `°F`: what temperatures are shown in. */
export const temperatureUnit = kept("temperature", "°C");
/** Whether keys without Ctrl do something: "on" or "off" (WCAG 2.1.4). */
export const singleKeys = kept("keys", "on");

const systemDark = matchMedia("(prefers-color-scheme: dark)");
const systemScheme = signal(systemDark.matches ? "dark" : "light");
systemDark.addEventListener("change", () => (systemScheme.value = systemDark.matches ? "dark" : "light"));

/** `light` or `dark`: what is on screen. Charts are built anew when it changes, because a canvas keeps its colours. */
export const scheme = computed(() => (theme.value === "system" ? systemScheme.value : theme.value));

effect(() => {
  const root = document.documentElement;
  if (theme.value === "system") delete root.dataset.theme;
  else root.dataset.theme = theme.value;
  remember("theme", theme.value);
});
