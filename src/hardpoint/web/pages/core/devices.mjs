// The devices on screen: one signal each, so that a reading changes one row and nothing else.
import { batch, signal } from "../vendor/preact.mjs";
import { api, devicePath } from "./api.mjs";
import { onLive } from "./live.mjs";

const PAGE_SIZE = 500;
/** Beyond this the list shows the first ones and the server does the searching. */
export const MAX_LISTED = 2_000;

/** id → signal of the device as the API gives it. */
const known = new Map();

/** The ids in the server's order. `null` until the first load has come. */
export const deviceIds = signal(null);
/** How many there are on the server. */
export const deviceTotal = signal(0);

/** The signal of a device; its value is `undefined` while it is not known. */
export function deviceSignal(id) {
  let found = known.get(id);
  if (!found) known.set(id, (found = signal(undefined)));
  return found;
}

/** Fetch the list, or what matches `search` of it. Rejects with ApiError. */
export async function loadDevices(search = "") {
  const items = [];
  let cursor = null;
  let total = 0;
  do {
    const query = new URLSearchParams({ limit: String(PAGE_SIZE) });
    if (search) query.set("search", search);
    if (cursor) query.set("cursor", cursor);
    const page = await api("GET", `/devices?${query}`);
    items.push(...page.items);
    cursor = page.next_cursor;
    total = page.total;
  } while (cursor && items.length < MAX_LISTED);
  batch(() => {
    for (const device of items) deviceSignal(device.id).value = device;
    deviceIds.value = items.map((device) => device.id);
    if (!search) deviceTotal.value = total;
  });
}

/** Fetch one device. Rejects with ApiError (404: there is none of that id or name). */
export async function loadDevice(id) {
  const device = await api("GET", devicePath(id));
  deviceSignal(device.id).value = device;
  return device;
}

/** Forget everything: another person signs in. */
export function forgetDevices() {
  known.clear();
  deviceIds.value = null;
}

/**
 * A device's state in one word: `online`, `late`, `offline` or `never`.
 * A device without an open connection (HTTP) is online while its last reading is within 1.5 of its usual intervals.
 */
export function presenceWord({ connected, last_seen: seen, last_reading: read, expected_every_s: every, late }, at) {
  if (connected) return late ? "late" : "online";
  if (seen === null) return "never";
  if (every && read !== null && at - read <= every * 1_500) return "online";
  return "offline";
}

function applyReadings({ device: id, readings }) {
  const found = known.get(id);
  const device = found?.peek();
  if (!device) return;
  const latest = { ...device.latest };
  let newest = device.presence.last_reading ?? 0;
  for (const [key, ts, value] of readings) {
    // Back-filled readings may be older than what is shown.
    if (!(latest[key]?.ts > ts)) latest[key] = { value, ts };
    if (ts > newest) newest = ts;
  }
  const at = Math.min(newest, Date.now());
  found.value = { ...device, latest, presence: { ...device.presence, last_reading: at, last_seen: at } };
}

function applyPresence({ device: id, presence }) {
  const found = known.get(id);
  if (found?.peek()) found.value = { ...found.peek(), presence };
}

function applyDevice({ action, device }) {
  batch(() => {
    const ids = deviceIds.peek();
    if (action === "removed") {
      if (known.has(device.id)) deviceSignal(device.id).value = undefined;
      if (ids) deviceIds.value = ids.filter((id) => id !== device.id);
      deviceTotal.value -= 1;
      return;
    }
    const before = known.get(device.id)?.peek();
    deviceSignal(device.id).value = { ...before, ...device };
    if (action !== "added") return;
    deviceTotal.value += 1;
    if (ids && !ids.includes(device.id)) deviceIds.value = [...ids, device.id];
  });
}

// Events are applied together, at most some 15 times a second: at 500 devices the browser then lays the table out once
// and not 500 times. A timer and not a frame, because a hidden tab gets no frames and would keep every event.
const APPLY_EVERY_MS = 66;
let waiting = [];

function soon(apply) {
  return (data) => {
    if (waiting.push([apply, data]) === 1) setTimeout(flush, APPLY_EVERY_MS);
  };
}

function flush() {
  const events = waiting;
  waiting = [];
  batch(() => events.forEach(([apply, data]) => apply(data)));
}

onLive("reading", soon(applyReadings));
onLive("presence", soon(applyPresence));
onLive("device", soon(applyDevice));
