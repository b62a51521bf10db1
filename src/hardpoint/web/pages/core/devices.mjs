// The devices on screen: one signal each, so that a reading changes one row and nothing else.
import { batch, signal } from "../vendor/preact.mjs";
import { api, devicePath } from "./api.mjs";
import { fetchLive, onLive } from "./live.mjs";

const PAGE_SIZE = 500;
/** Beyond this the list shows the first ones and the server does the filtering. */
export const MAX_LISTED = 5_000;

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

let loads = 0;

/** Fetch the list, or what a `filter` holds for; an answer that another load has overtaken is dropped. Rejects with ApiError. */
export async function loadDevices(filter = "") {
  const own = (loads += 1);
  await fetchLive(() => fetchList(filter, () => own !== loads), showList, KEPT_BY);

  function showList({ items, total }) {
    flush();
    for (const device of items) deviceSignal(device.id).value = device;
    deviceIds.value = items.map((device) => device.id);
    if (!filter) deviceTotal.value = total;
  }
}

/** `{items, total}` of the list, or `null` once it is `overtaken()`. */
async function fetchList(filter, overtaken) {
  const items = [];
  let cursor = null;
  let total = 0;
  do {
    const query = new URLSearchParams({ limit: String(PAGE_SIZE) });
    if (filter) query.set("filter", filter);
    if (cursor) query.set("cursor", cursor);
    const page = await api("GET", `/devices?${query}`);
    items.push(...page.items);
    cursor = page.next_cursor;
    total = page.total;
    if (overtaken()) return null;
  } while (cursor && items.length < MAX_LISTED);
  return { items, total };
}

/** Fetch one device. Rejects with ApiError (404: there is none of that id or name). */
export async function loadDevice(id) {
  let found;
  const show = (device) => {
    flush();
    found = deviceSignal(device.id).value = device;
  };
  await fetchLive(() => api("GET", devicePath(id)), show, KEPT_BY);
  return found;
}

/** Forget everything: another person signs in. */
export function forgetDevices() {
  known.clear();
  deviceIds.value = null;
}

// Presence in a word. hub/presence.py has the same rule and the same numbers, and both are
// tested with the same table of cases.
/** Late after one and a half intervals: half an interval forgives jitter, and a missed report shows at once. */
const LATE_FACTOR = 1.5;
/** And never within two seconds more than the interval: networks hiccup. */
const LATE_GRACE_S = 2;
/** A device without a connection that missed two reports is not late, it is gone. */
const OFFLINE_FACTOR = 3;
/** A device whose interval is not known yet counts as present for so long. */
const FIRST_S = 60;

/**
 * Presence facts in a word, at a time in ms. `never`: nothing was seen of it. `online`: connected and not late, or seen
 * within its allowance. `late`: a reading is overdue on its connection, or, without one, nothing came for longer than
 * that. `offline`: the rest.
 */
export function presenceWord({ connected, last_seen: seen, last_reading: read, expected_every_s: every, late }, at) {
  const allowed = every === null ? FIRST_S : Math.max(every * LATE_FACTOR, every + LATE_GRACE_S);
  if (connected) {
    const overdue = every !== null && read !== null && at - read > allowed * 1_000;
    // The server's own word was right when it said it; what came due since is worked out here.
    return late || overdue ? "late" : "online";
  }
  const last = Math.max(seen ?? 0, read ?? 0);
  if (!last) return "never";
  if (at - last <= allowed * 1_000) return "online";
  return every !== null && at - last <= every * OFFLINE_FACTOR * 1_000 ? "late" : "offline";
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
  const presence = { ...device.presence, last_reading: at, last_seen: at, late: false };
  found.value = { ...device, latest, presence };
}

function applyPresence({ device: id, presence }) {
  const found = known.get(id);
  if (found?.peek()) found.value = { ...found.peek(), presence };
}

/** `again`: over a list that was fetched meanwhile, which may have counted it already. */
function applyDevice({ action, device }, again = false) {
  batch(() => {
    const ids = deviceIds.peek();
    const listed = ids?.includes(device.id);
    if (action === "removed") {
      if (known.has(device.id)) deviceSignal(device.id).value = undefined;
      if (ids) deviceIds.value = ids.filter((id) => id !== device.id);
      if (listed || !again) deviceTotal.value -= 1;
      return;
    }
    const before = known.get(device.id)?.peek();
    deviceSignal(device.id).value = { ...before, ...device };
    if (action !== "added") return;
    if (!listed || !again) deviceTotal.value += 1;
    if (ids && !listed) deviceIds.value = [...ids, device.id];
  });
}

/** What an event does to the devices, by its name. */
const KEPT_BY = { reading: applyReadings, presence: applyPresence, device: applyDevice };

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

for (const [name, apply] of Object.entries(KEPT_BY)) onLive(name, soon(apply));
