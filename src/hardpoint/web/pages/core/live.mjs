// The live stream: one EventSource a tab, whatever is on screen. The browser reconnects with Last-Event-ID and the
// server sends what was missed; where that is not possible (`reset`, or a stream the browser gave up) the listeners
// are told to fetch anew. So no reading is missing or doubled after a loss.
import { batch, signal } from "../vendor/preact.mjs";
import { apiHref } from "./api.mjs";

/** "idle" before the start, "open", or "lost" while reconnecting. */
export const liveStatus = signal("idle");

/** The alerts that fire now, the newest first; `null` until they are known. core/alerts.mjs keeps it. */
export const firingAlerts = signal(null);

const EVENTS = ["reading", "presence", "command", "device", "alert", "dashboard", "audit"];
const RETRY_FIRST_MS = 1_000;
const RETRY_MOST_MS = 15_000;

const listeners = new Map([...EVENTS, "reset"].map((name) => [name, new Set()]));
let source = null;
let retry = null;
let retryMs = RETRY_FIRST_MS;

function emit(name, data) {
  for (const listener of listeners.get(name)) listener(data);
}

/** Call `listener` with each event's data; `reset` means that what is shown may lack something. Returns the undo. */
export function onLive(name, listener) {
  listeners.get(name).add(listener);
  return () => listeners.get(name).delete(listener);
}

/**
 * Ask for what events keep up to date: `put` shows the answer, then `appliers` (`{event: apply(data, again)}`) put over
 * it once more, `again`, what the stream has told since the question: the answer may be older than that. Where `ask`
 * resolves to `null` nothing is done. Rejects as `ask` does.
 */
export async function fetchLive(ask, put, appliers) {
  const told = [];
  const undo = Object.entries(appliers).map(([name, apply]) => onLive(name, (data) => told.push(() => apply(data, true))));
  try {
    const answer = await ask();
    if (answer === null) return;
    batch(() => {
      put(answer);
      for (const again of told) again();
    });
  } finally {
    for (const each of undo) each();
  }
}

/** Open the stream; nothing when it is open already. */
export function startLive() {
  if (!source) open(false);
}

/** Close it: signed out, or the page is left. */
export function stopLive() {
  source?.close();
  clearTimeout(retry);
  source = null;
  liveStatus.value = "idle";
}

function open(again) {
  source = new EventSource(apiHref("/live"));
  const mine = source;
  source.onopen = () => {
    retryMs = RETRY_FIRST_MS;
    liveStatus.value = "open";
    if (again) emit("reset", {});
    again = false; // the browser's own reconnects resume by Last-Event-ID
  };
  source.onerror = () => {
    if (mine !== source) return;
    liveStatus.value = "lost";
    if (mine.readyState !== EventSource.CLOSED) return;
    // An answer other than 200 (a proxy's 502, a full server's 503): the browser has given up, we have not.
    retry = setTimeout(() => open(true), retryMs);
    retryMs = Math.min(retryMs * 2, RETRY_MOST_MS);
  };
  for (const name of EVENTS) source.addEventListener(name, (event) => emit(name, JSON.parse(event.data)));
  source.addEventListener("reset", () => emit("reset", {}));
}
