// A line the size of a word: the last hour of one key, fetched when the page rests, then kept live.
import { html, useEffect, useRef, useState } from "../vendor/preact.mjs";
import { api } from "../core/api.mjs";

const SPAN_MS = 3_600_000;
const POINTS = 40;
const MOST_KEPT = 120;
const WIDTH = 72;
const HEIGHT = 26;
/** Lines that come into view together are asked for together: a list of devices would ask a hundred times. */
const GATHER_MS = 40;
/** While a page is scrolled lines go by unseen: they are fetched and drawn when it has rested for so long. */
const REST_MS = 120;
/** Lines that are kept when they go out of sight, and for how long: what came meanwhile is no wider than a pixel. */
const MOST_LINES = 1_000;
const KEPT_MS = 45_000;
const MOST_ASKED = 60; // of each some 40 characters in the address, which servers take 8 KiB of

let scrolledAt = -Infinity;
addEventListener("scroll", () => (scrolledAt = performance.now()), { passive: true, capture: true });

let gathered = [];

/** Points of a series, `[[ts, value], …]`, of the last hour; of none where it cannot be had. */
function fetchPoints(id, name, signal) {
  return new Promise((resolve) => {
    if (gathered.push({ id, name, signal, resolve }) === 1) setTimeout(askAtRest, GATHER_MS);
  });
}

function askAtRest() {
  const leftMs = scrolledAt + REST_MS - performance.now();
  if (leftMs > 0) setTimeout(askAtRest, leftMs);
  else ask();
}

async function ask() {
  const wanted = gathered.filter((each) => !each.signal.aborted);
  gathered = [];
  for (let i = 0; i < wanted.length; i += MOST_ASKED) await askFor(wanted.slice(i, i + MOST_ASKED));
}

async function askFor(wanted) {
  const query = new URLSearchParams({ from: String(Date.now() - SPAN_MS), points: String(POINTS) });
  for (const { id, name } of wanted) query.append("series", `${id}:${name}`);
  let found = new Map();
  try {
    const { series } = await api("GET", `/readings?${query}`);
    found = new Map(series.map((each) => [`${each.device}:${each.key}`, each.points]));
  } catch {
    // No line is no harm: the value is there, and the page says by itself when the server is away.
  }
  for (const { id, name, resolve } of wanted) resolve(found.get(`${id}:${name}`) ?? []);
}

/**
 * `{line, area}` path data of points in a box, or `null` of none. Flat data is drawn in the middle. One point alone is a
 * `dot`, at the right where the present is: a line of no length, which its round ends make visible.
 */
export function sparkPath(points, width = WIDTH, height = HEIGHT) {
  if (!points.length) return null;
  if (points.length === 1) return { dot: `M${width} ${height / 2}h0` };
  const values = points.map((point) => point[1]);
  const low = Math.min(...values);
  const spread = Math.max(...values) - low;
  const [start, end] = [points[0][0], points.at(-1)[0]];
  const x = (ts) => ((ts - start) / (end - start || 1)) * width;
  const y = (value) => (spread ? 2 + (1 - (value - low) / spread) * (height - 4) : height / 2);
  const line = points.map(([ts, value], i) => `${i ? "L" : "M"}${x(ts).toFixed(1)} ${y(value).toFixed(1)}`).join("");
  return { line, area: `${line}L${width} ${height}L0 ${height}Z` };
}

/** `id:name` → `{at, points}` of lines that were drawn: whoever scrolls back sees them at once. The oldest go first. */
const drawn = new Map();

function keep(line, points) {
  drawn.delete(line);
  drawn.set(line, { at: Date.now(), points });
  if (drawn.size > MOST_LINES) drawn.delete(drawn.keys().next().value);
}

function recent(line) {
  const found = drawn.get(line);
  return found && Date.now() - found.at < KEPT_MS ? found.points : [];
}

/** `latest` is the key's `{value, ts}` as it is now; a new one is appended. Decoration: the value stands beside it. */
export function Spark({ id, name, latest, series = 0 }) {
  const line = `${id}:${name}`;
  const [points, setPoints] = useState(() => recent(line));
  const shown = useRef(points);
  shown.current = points;

  useEffect(() => {
    const abort = new AbortController();
    if (!shown.current.length)
      fetchPoints(id, name, abort.signal).then((found) => {
        if (abort.signal.aborted) return;
        const past = found.filter((point) => typeof point[1] === "number");
        setPoints((since) => [...past, ...since.filter((point) => point[0] > (past.at(-1)?.[0] ?? 0))]);
      });
    return () => {
      abort.abort();
      if (shown.current.length) keep(line, shown.current);
    };
  }, [id, name]);

  useEffect(() => {
    if (typeof latest?.value !== "number") return;
    setPoints((before) => {
      if (!before.length || before.at(-1)[0] >= latest.ts) return before;
      return [...before, [latest.ts, latest.value]].filter((point) => point[0] > latest.ts - SPAN_MS).slice(-MOST_KEPT);
    });
  }, [latest?.ts]);

  const path = sparkPath(points);
  return html`<svg class="spark series-${series}" viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none"
    aria-hidden="true">
    ${path?.dot && html`<path class="spark-dot" d=${path.dot} />`}
    ${path?.line && html`<path class="spark-area" d=${path.area} /><path class="spark-line" d=${path.line} />`}
  </svg>`;
}
