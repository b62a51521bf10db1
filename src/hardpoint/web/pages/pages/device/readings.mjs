// One key's readings over a span of time: fetched, then kept live, and fetched anew after a loss.
import { useEffect, useRef, useState } from "../../vendor/preact.mjs";
import { api, devicePath } from "../../core/api.mjs";
import { onLive } from "../../core/live.mjs";

const POINTS = 600;
/** Live readings are appended as they are; after so many the thinned-out series is fetched anew. */
const MOST_APPENDED = 600;
/** Into how many parts a range is cut for its band. */
export const BAND_POINTS = 150;
const NO_BAND = [];

/** `[[ts, least, greatest], …]`: what each of `BAND_POINTS` parts of a range holds. Rejects with ApiError. */
async function fetchBand(path, query, signal) {
  const edge = (agg) => {
    const asked = new URLSearchParams({ ...query, points: String(BAND_POINTS), agg });
    return api("GET", `${path}?${asked}`, undefined, { signal });
  };
  const [low, high] = await Promise.all([edge("min"), edge("max")]);
  const most = new Map(high.points);
  return low.points.map(([ts, least]) => [ts, least, most.get(ts) ?? least]);
}

/** `[[0, value]]`: the last reading before a time, whenever it was; `[]`: there is none. Rejects with ApiError. */
async function fetchBefore(path, { key, from }, signal) {
  const asked = new URLSearchParams({ key, from: "0", to: from, points: "1", agg: "last" });
  return (await api("GET", `${path}?${asked}`, undefined, { signal })).points;
}

/**
 * `{points, agg, band, error}` of a key; `points` is `[[ts, value], …]`, or `null` until the first answer. With `zoom`
 * (`{from, to}` ms) that window, else the last `spanMs`. Nothing is fetched until `visible`. With `band`, where the
 * points stand for more readings than they are, `band` is between what those lie. The points are numbers; with `states`
 * they are booleans and texts, and begin with the last one before the window, for a state holds until there is another.
 */
export function useReadings(id, key, { spanMs, zoom, visible, band = false, states = false }) {
  const fitting = states ? ofStates : numbers;
  const [state, setState] = useState({ points: null, agg: "", band: NO_BAND, error: null });
  const [round, setRound] = useState(0);
  const appended = useRef(0);

  useEffect(() => {
    if (!visible) return undefined;
    const abort = new AbortController();
    const to = zoom?.to ?? Date.now();
    const query = { key, from: String(Math.floor(zoom?.from ?? to - spanMs)) };
    // A window that ends now has no end: readings stamped by a clock slightly ahead belong to it.
    if (zoom) query.to = String(Math.ceil(to));
    const path = devicePath(id, "/readings");
    const failed = (error) => error.name === "AbortError" || setState((before) => ({ ...before, error }));
    const load = async () => {
      const asked = new URLSearchParams({ ...query, points: String(POINTS) });
      const [{ points, agg }, earlier] = await Promise.all([
        api("GET", `${path}?${asked}`, undefined, { signal: abort.signal }),
        states ? fetchBefore(path, query, abort.signal) : [],
      ]);
      appended.current = 0;
      setState((before) => ({
        points: merge(fitting([...earlier, ...points]), zoom ? [] : tail(before.points)),
        agg,
        band: agg === "lttb" ? before.band : NO_BAND,
        error: null,
      }));
      if (!band || agg !== "lttb") return;
      const edges = await fetchBand(path, query, abort.signal);
      setState((before) => ({ ...before, band: edges }));
    };
    load().catch(failed);
    return () => abort.abort();
  }, [id, key, spanMs, zoom?.from, zoom?.to, visible, round, band, states]);

  useEffect(() => {
    if (!visible || zoom) return undefined;
    const undo = [
      onLive("reset", () => setRound((n) => n + 1)),
      onLive("reading", (event) => {
        if (event.device !== id) return;
        const added = fitting(
          event.readings.filter((reading) => reading[0] === key).map(([, ts, value]) => [ts, value]),
        );
        if (!added.length) return;
        appended.current += added.length;
        if (appended.current > MOST_APPENDED) setRound((n) => n + 1);
        setState((before) => ({ ...before, points: merge(before.points ?? [], added, Date.now() - spanMs, states) }));
      }),
    ];
    return () => undo.forEach((each) => each());
  }, [id, key, spanMs, zoom, visible, states]);

  return state;
}

const numbers = (points) => points.filter((point) => typeof point[1] === "number");
const ofStates = (points) => points.filter((point) => ["boolean", "string"].includes(typeof point[1]));

/** What arrived live while the answer was on its way: it may be newer than the answer's last point. */
const tail = (points) => (points ?? []).slice(-8);

/**
 * Two series in order of time, each time once and the second one's value winning, from `from` on, and with `andOne`
 * the last one before it. Appending to the end, the common case, costs no sort.
 */
export function merge(before, added, from = -Infinity, andOne = false) {
  const last = before.at(-1)?.[0] ?? -Infinity;
  let points;
  if (added.every((point, i) => point[0] > (i ? added[i - 1][0] : last))) points = [...before, ...added];
  else points = [...new Map([...before, ...added]).entries()].sort((a, b) => a[0] - b[0]);
  const first = points.findIndex((point) => point[0] >= from);
  const start = (first < 0 ? points.length : first) - (andOne ? 1 : 0);
  return start > 0 ? points.slice(start) : points;
}
