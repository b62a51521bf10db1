// The dry run: what the rule in the form would have raised in the last day, drawn on what was stored.
import { html, useEffect, useMemo, useRef, useState } from "../../vendor/preact.mjs";
import { api, devicePath } from "../../core/api.mjs";
import { deviceIds, deviceSignal } from "../../core/devices.mjs";
import { absolute, clock, day, duration, unitOf } from "../../core/format.mjs";
import { locale, t } from "../../core/i18n.mjs";
import { scheme } from "../../core/preferences.mjs";
import { LineChart, withGaps } from "../../ui/chart.mjs";
import { Icon, Problem } from "../../ui/elements.mjs";
import { valueText } from "../alerts/marks.mjs";
import { nameOf } from "../alerts/words.mjs";
import { isComplete, limitsOf, ruleOf } from "./draft.mjs";
import { inScope } from "./scope.mjs";

const DAY_MS = 86_400_000;
const SETTLED_MS = 400;
const POINTS = 800;
const LISTED = 12;

/** `{run, error, busy}` of the draft, asked for when typing has paused. What does not change the outcome asks nothing. */
function useDryRun(draft) {
  const [state, setState] = useState({ run: null, error: null, busy: false });
  const { when, scope, for_s } = ruleOf(draft);
  const asked = isComplete(draft) ? JSON.stringify({ name: "trial", when, scope, for_s }) : null;
  useEffect(() => {
    if (!asked) {
      setState({ run: null, error: null, busy: false });
      return undefined;
    }
    const abort = new AbortController();
    const to = Date.now();
    const body = { ...JSON.parse(asked), from_ms: to - DAY_MS, to_ms: to };
    setState((before) => ({ ...before, busy: true }));
    const timer = setTimeout(() => {
      api("POST", "/rules/dry-run", body, { signal: abort.signal }).then(
        (run) => setState({ run: { ...run, from: body.from_ms, to }, error: null, busy: false }),
        (error) => error.name === "AbortError" || setState({ run: null, error, busy: false }),
      );
    }, SETTLED_MS);
    return () => (clearTimeout(timer), abort.abort());
  }, [asked]);
  return state;
}

/** The numbers of one key of a device between two times, or `null` until they are there. */
function useDay(id, key, from, to) {
  const [points, setPoints] = useState(null);
  useEffect(() => {
    setPoints(null);
    if (!id || !key) return undefined;
    const abort = new AbortController();
    const query = new URLSearchParams({ key, from: String(from), to: String(to), points: String(POINTS) });
    api("GET", devicePath(id, `/readings?${query}`), undefined, { signal: abort.signal }).then(
      (answer) => setPoints(answer.points.filter((point) => typeof point[1] === "number")),
      (error) => error.name === "AbortError" || setPoints([]),
    );
    return () => abort.abort();
  }, [id, key, from, to]);
  return points;
}

function Plot({ points, unit, limits, spans, from, to }) {
  const ref = useRef(null);
  const chart = useRef(null);
  const data = useMemo(() => withGaps(points), [points]);
  useEffect(() => {
    const nothing = () => {};
    chart.current = new LineChart(ref.current, {
      unit,
      group: "trial",
      onHover: nothing,
      onZoom: nothing,
      onReset: nothing,
    });
    chart.current.mark(limits, spans);
    chart.current.show(data, from, to);
    return () => chart.current.destroy();
  }, [scheme.value, locale.value, unit]);
  useEffect(() => {
    chart.current.mark(limits, spans);
    chart.current.show(data, from, to);
  }, [data, from, to, JSON.stringify(limits)]);
  return html`<div class="plot" ref=${ref}></div>`;
}

/** What is drawn of the rule's devices: the one chosen, else the one that would have fired most. */
function drawnDevice(firings, concerned, chosen) {
  if (concerned.some((device) => device.id === chosen)) return chosen;
  const counts = new Map(concerned.map((device) => [device.id, 0]));
  for (const { device } of firings) counts.set(device, (counts.get(device) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0] ?? null;
}

function Firings({ firings, to }) {
  if (!firings.length) return null;
  return html`<ol class="firings">
    ${firings
      .toSorted((a, b) => b.fired - a.fired)
      .slice(0, LISTED)
      .map((firing) => [firing, firing.fired, firing.resolved])
      .map(
        ([firing, fired, resolved]) => html`<li key="${firing.device} ${fired}">
          <time class="number" datetime=${new Date(fired).toISOString()} title=${absolute(fired)}>
            ${day(fired)} ${clock(fired)}</time>
          <span class="firing-device">${nameOf(firing.device)}
            ${firing.value !== null && html` <span class="soft number">${valueText(firing)}</span>`}</span>
          <span class="soft number">${
            resolved === null ? t("trial.still") : t("trial.lasted", { time: duration((resolved - fired) / 1000) })
          }</span>
        </li>`,
      )}
    ${firings.length > LISTED && html`<li class="faint">${t("trial.more", { n: firings.length - LISTED })}</li>`}
  </ol>`;
}

/** The first numeric key among a device's latest readings, for a rule that names none. */
const anyKey = (device) =>
  Object.keys(device?.latest ?? {}).find((key) => typeof device.latest[key].value === "number");

export function Trial({ draft }) {
  const { run, error, busy } = useDryRun(draft);
  const [chosen, setChosen] = useState(null);
  const key = draft.is === "expression" ? "" : draft.key.trim();
  const concerned = (deviceIds.value ?? [])
    .map((id) => deviceSignal(id).value)
    .filter((device) => device && inScope(draft.scope, device) && (key ? key in device.latest : anyKey(device)));
  const firings = run?.firings ?? [];
  const id = drawnDevice(firings, concerned, chosen);
  const drawn = key || anyKey(id && deviceSignal(id).value);
  const unit = drawn ? unitOf(drawn, id && deviceSignal(id).value?.fields) : "";
  const points = useDay(run && id, drawn, run?.from, run?.to);
  const spans = firings.filter((one) => one.device === id).map((one) => [one.fired, one.resolved ?? run.to]);
  const said = run && t("trial.fired", { n: firings.length });
  return html`<section class="card trial" aria-labelledby="trial-title">
    <header class="card-head"><h2 id="trial-title">${t("trial.title")}</h2>
      ${busy && html`<span class="trial-busy"><${Icon} name="refresh-cw" spin /></span>`}
      ${
        concerned.length > 1 &&
        html`<select class="box" aria-label=${t("trial.device")} value=${id} onChange=${(e) => setChosen(e.target.value)}>
          ${concerned.map((device) => html`<option key=${device.id} value=${device.id}>${device.name}</option>`)}
        </select>`
      }</header>
    <div class="card-body">
      <p class="trial-said ${firings.length ? "fires" : ""}" role="status">
        ${error ? "" : run ? html`<strong>${said}</strong> <span class="soft">${t("trial.looked", { n: run.readings })}</span>` : t("trial.incomplete")}
      </p>
      ${error && html`<${Problem} error=${error} />`}
      <div class="chart-body series-0" role="img" aria-label=${said || t("trial.title")}>
        ${
          run && points?.length
            ? html`<${Plot} points=${points} unit=${unit} limits=${limitsOf(draft)} spans=${spans} from=${run.from} to=${run.to} />`
            : html`<p class="chart-note">${run && (points || !id) ? t("trial.nothing") : ""}</p>`
        }
      </div>
      ${run && html`<${Firings} firings=${firings} />`}
    </div>
  </section>`;
}
