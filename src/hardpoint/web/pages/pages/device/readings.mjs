// One key's readings over a span of time: fetched, then kept live, and fetched anew after a loss.
import { useEffect, useRef, useState } from "../../vendor/preact.mjs";
import { api, devicePath } from "../../core/api.mjs";
import { onLive } from "../../core/live.mjs";

const POINTS = 600;
/** Live readings are appended as they are; after so many the thinned-out series is fetched anew. */
const MOST_APPENDED = 600;

/**
 * `{points, agg, error}` of a key; `points` is `[[ts, value], …]`, or `null` until the first answer. With `zoom`
 * (`{from, to}` ms) that window, else the last `spanMs`. Nothing is fetched until `visible`.
 */
export function useReadings(id, key, { spanMs, zoom, visible }) {
  const [state, setState] = useState({ points: null, agg: "", error: null });
  const [round, setRound] = useState(0);
  const appended = useRef(0);

  useEffect(() => {
    if (!visible) return undefined;
    const abort = new AbortController();
    const to = zoom?.to ?? Date.now();
    const query = new URLSearchParams({
      key,
      from: String(Math.floor(zoom?.from ?? to - spanMs)),
      points: String(POINTS),
    });
    // A window that ends now has no end: readings stamped by a clock slightly ahead belong to it.
    if (zoom) query.set("to", String(Math.ceil(to)));
    api("GET", devicePath(id, `/readings?${query}`), undefined, { signal: abort.signal }).then(
      ({ points, agg }) => {
        appended.current = 0;
        setState((before) => ({ points: merge(numbers(points), zoom ? [] : tail(before.points)), agg, error: null }));
      },
      (error) => error.name === "AbortError" || setState((before) => ({ ...before, error })),
    );
    return () => abort.abort();
  }, [id, key, spanMs, zoom?.from, zoom?.to, visible, round]);

  useEffect(() => {
    if (!visible || zoom) return undefined;
    const undo = [
      onLive("reset", () => setRound((n) => n + 1)),
      onLive("reading", (event) => {
        if (event.device !== id) return;
        const added = numbers(
          event.readings.filter((reading) => reading[0] === key).map(([, ts, value]) => [ts, value]),
        );
        if (!added.length) return;
        appended.current += added.length;
        if (appended.current > MOST_APPENDED) setRound((n) => n + 1);
        setState((before) => ({ ...before, points: merge(before.points ?? [], added, Date.now() - spanMs) }));
      }),
    ];
    return () => undo.forEach((each) => each());
  }, [id, key, spanMs, zoom, visible]);

  return state;
}

const numbers = (points) => points.filter((point) => typeof point[1] === "number");

/** What arrived live while the answer was on its way: it may be newer than the answer's last point. */
const tail = (points) => (points ?? []).slice(-8);

/**
 * Two series in order of time, each time once and the second one's value winning, from `from` on. Appending to the end,
 * the common case, costs no sort.
 */
export function merge(before, added, from = -Infinity) {
  const last = before.at(-1)?.[0] ?? -Infinity;
  let points;
  if (added.every((point, i) => point[0] > (i ? added[i - 1][0] : last))) points = [...before, ...added];
  else points = [...new Map([...before, ...added]).entries()].sort((a, b) => a[0] - b[0]);
  const start = points.findIndex((point) => point[0] >= from);
  return start > 0 ? points.slice(start) : start < 0 ? [] : points;
}
