// Dashboards as the API gives them, and the automatic ones that every label makes.
import { signal } from "../vendor/preact.mjs";
import { api } from "./api.mjs";
import { unitOf } from "./format.mjs";

/** The dashboards without their cards, by name; `null` until they are known. */
export const dashboards = signal(null);

export const dashboardPath = (id, rest = "") => `/dashboards/${encodeURIComponent(id)}${rest}`;

/** Fetch the list. Rejects with ApiError. */
export async function loadDashboards() {
  dashboards.value = (await api("GET", "/dashboards")).items;
}

/** An id that no card of these has. */
export function freeCardId(cards) {
  const taken = new Set(cards.map((card) => card.id));
  let n = cards.length + 1;
  while (taken.has(`c${n}`)) n += 1;
  return `c${n}`;
}

/** `cards` with the one at `from` at `to` instead; the same array where that is outside. */
export function moved(cards, from, to) {
  if (from === to || to < 0 || to >= cards.length) return cards;
  const next = [...cards];
  next.splice(to, 0, ...next.splice(from, 1));
  return next;
}

/** The ids of the devices on these cards. */
export const devicesOf = (cards) => [
  ...new Set(cards.flatMap((card) => [card.device, ...(card.series ?? []).map((each) => each.device)]).filter(Boolean)),
];

/** `[["site:greenhouse", 4], …]`: each label that devices have, and how many; the most common first. */
export function labelsOf(devices) {
  const counts = new Map();
  for (const device of devices) {
    for (const [key, value] of Object.entries(device.labels)) {
      const label = `${key}:${value}`;
      counts.set(label, (counts.get(label) ?? 0) + 1);
    }
  }
  return [...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
}

const MOST_LINES = 8;
const MOST_VALUES = 24;
const MOST_CHARTS = 12;

/** The keys of these devices, each with those that have it: numbers with a known unit first. */
function keysOf(devices) {
  const found = new Map();
  for (const device of devices) {
    for (const [key, { value }] of Object.entries(device.latest)) {
      if (!found.has(key)) found.set(key, { key, number: typeof value === "number", devices: [] });
      found.get(key).devices.push(device);
    }
  }
  const rank = ({ key, number }) => (!number ? 2 : unitOf(key) && !unitOf(key).startsWith("B") ? 0 : 1);
  return [...found.values()].sort((a, b) => rank(a) - rank(b) || a.key.localeCompare(b.key));
}

/**
 * The cards of an automatic dashboard: each device's first values, then one chart a key with all devices that have it,
 * so that they can be compared.
 */
export function automaticCards(devices) {
  const keys = keysOf(devices);
  const each = Math.max(1, Math.min(3, Math.floor(MOST_VALUES / Math.max(1, devices.length))));
  const values = devices
    .flatMap((device) =>
      keys
        .filter(({ key }) => key in device.latest)
        .slice(0, each)
        .map(({ key }) => ({ kind: "value", device: device.id, key })),
    )
    .slice(0, MOST_VALUES);
  const charts = keys
    .filter(({ number }) => number)
    .slice(0, MOST_CHARTS)
    .map(({ key, devices: having }) => ({
      kind: "chart",
      title: key,
      span_s: 3_600,
      series: having.slice(0, MOST_LINES).map((device) => ({ device: device.id, key })),
    }));
  return [
    ...values.map((card) => ({ size: "s", ...card })),
    ...charts.map((card) => ({ size: charts.length === 1 ? "l" : "m", ...card })),
  ].map((card, i) => ({ id: `c${i + 1}`, title: "", ...card }));
}
