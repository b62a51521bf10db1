// The wire tap: every frame of a device as it comes, with why one was refused; and the device's sessions.
import { html, useEffect, useRef, useState } from "../../vendor/preact.mjs";
import { api, devicePath, mayAs } from "../../core/api.mjs";
import { absolute, clock, duration } from "../../core/format.mjs";
import { t } from "../../core/i18n.mjs";
import { onLive } from "../../core/live.mjs";
import { Code, Icon, Problem } from "../../ui/elements.mjs";

const TAP_S = 600;
/** The server answers as soon as there is a frame, so this bounds how often we ask, and so how often we draw. */
const PAUSE_MS = 250;
/** Where nothing is tapped there is nothing to wait for. */
const IDLE_MS = 3_000;
const WAIT_S = 20;
const KEPT = 500;

/** `{frames, until, rate, error, tap}` of a device, the newest frame first; nothing new while `paused`. */
function useFrames(id, paused) {
  const [state, setState] = useState({ frames: [], until: null, rate: 0, error: null });
  const after = useRef(0);
  const path = devicePath(id, "/frames");
  useEffect(() => {
    const abort = new AbortController();
    let timer = null;
    async function look() {
      let pauseMs = IDLE_MS;
      try {
        const began = Date.now();
        const query = new URLSearchParams({ after: String(after.current), wait_s: String(WAIT_S) });
        const found = await api("GET", `${path}?${query}`, undefined, { signal: abort.signal });
        const isFirst = after.current === 0; // what was kept, however long ago
        after.current = found.items.at(-1)?.number ?? after.current;
        if (found.tapped_until) pauseMs = PAUSE_MS;
        const tookS = Math.max(Date.now() - began, PAUSE_MS) / 1_000;
        setState((before) => ({
          frames: [...found.items.toReversed(), ...before.frames].slice(0, KEPT),
          until: found.tapped_until,
          rate: isFirst ? 0 : found.items.length / tookS,
          error: null,
        }));
      } catch (error) {
        if (error.name === "AbortError") return;
        setState((before) => ({ ...before, error }));
      }
      timer = setTimeout(look, pauseMs);
    }
    if (!paused) look();
    return () => (abort.abort(), clearTimeout(timer));
  }, [path, paused]);
  const tap = (for_s) =>
    api("PUT", path, { for_s }).then(
      ({ tapped_until: until }) => setState((before) => ({ ...before, until, error: null })),
      (error) => setState((before) => ({ ...before, error })),
    );
  return { ...state, tap };
}

/** JSON with its parts on lines of their own; any other text as it is. */
function pretty(text) {
  try {
    const found = JSON.parse(text);
    return typeof found === "object" ? JSON.stringify(found, null, 2) : text;
  } catch {
    return text;
  }
}

const SHORT_CHARS = 160;

function FrameRow({ frame }) {
  const [open, setOpen] = useState(false);
  const refused = frame.verdict === "refused";
  const long = frame.body.length > SHORT_CHARS || /^\s*[[{]/.test(frame.body);
  const body = open ? pretty(frame.body) : frame.body.slice(0, SHORT_CHARS);
  return html`<li class="frame ${frame.way} ${frame.verdict}">
    <time class="number faint" datetime=${new Date(frame.at).toISOString()} title=${absolute(frame.at)}>
      ${clock(frame.at, true)}</time>
    <span class="frame-way" title=${t(`log.${frame.way}`)}><span aria-hidden="true">${frame.way === "in" ? "→" : "←"}
      </span><span class="visually-hidden">${t(`log.${frame.way}`)}</span></span>
    <span class="chip">${frame.dialect}</span>
    <div class="frame-text">
      ${frame.head && html`<span class="frame-head">${frame.head}</span>`}
      <pre>${body}${!open && frame.body.length > SHORT_CHARS ? "…" : ""}</pre>
      ${frame.binary && html`<small class="faint">${t("log.hex")}</small>`}
      ${frame.cut && html`<small class="faint">${t("log.cut")}</small>`}
      ${refused && html`<p class="frame-why"><${Icon} name="circle-alert" />${frame.reason}</p>`}
      ${frame.correction && html`<p class="soft">${t("connect.try")}</p><${Code} text=${frame.correction} />`}
    </div>
    ${
      long &&
      html`<button type="button" class="button small" aria-expanded=${open} onClick=${() => setOpen(!open)}>
      ${t(open ? "log.less" : "log.more")}</button>`
    }
  </li>`;
}

const has = (frame, word) =>
  [frame.head, frame.body, frame.reason ?? "", frame.dialect].some((text) => text.toLowerCase().includes(word));

function Frames({ id }) {
  const [paused, setPaused] = useState(false);
  const [filter, setFilter] = useState("");
  const [refusedOnly, setRefusedOnly] = useState(false);
  const { frames, until, rate, error, tap } = useFrames(id, paused);
  const tapped = until !== null && until > Date.now();
  const word = filter.trim().toLowerCase();
  const shown = frames.filter((frame) => (!refusedOnly || frame.verdict === "refused") && (!word || has(frame, word)));
  const download = `/api${devicePath(id, "/frames?format=ndjson")}`;
  return html`<section class="card" aria-labelledby="frames-title">
    <header class="card-head"><h2 id="frames-title">${t("log.title")}</h2>
      <a class="icon-button" href=${download} download="${id}.frames.ndjson" aria-label=${t("log.download")}
        title=${t("log.download")}><${Icon} name="download" /></a>
    </header>
    <div class="card-body stack">
      ${error && html`<${Problem} error=${error} />`}
      <div class="toolbar log-tools">
        ${
          mayAs("operator") &&
          html`<button type="button" class="button small ${tapped ? "" : "primary"}"
          onClick=${() => tap(tapped ? 0 : TAP_S)}><${Icon} name=${tapped ? "x" : "radio"} />
          ${t(tapped ? "log.stop" : "log.start")}</button>`
        }
        <span class="hint" role="status">${
          tapped ? t("log.until", { at: clock(until) }) : t("log.refused_only_kept")
        }</span>
        <input class="input log-filter" type="search" aria-label=${t("log.filter")} placeholder=${t("log.filter")}
          value=${filter} onInput=${(e) => setFilter(e.target.value)} />
        <label class="choice"><input type="checkbox" checked=${refusedOnly}
          onChange=${(e) => setRefusedOnly(e.target.checked)} />${t("log.refused")}</label>
        <button type="button" class="button small" aria-pressed=${paused} onClick=${() => setPaused(!paused)}>
          ${t(paused ? "log.resume" : "log.pause")}</button>
      </div>
      ${
        shown.length
          ? html`<ol class="frames" tabindex="0" aria-label=${t("log.title")}>${shown.map(
              (frame) => html`<${FrameRow} key=${frame.number} frame=${frame} />`,
            )}</ol>`
          : html`<p class="hint">${t(frames.length ? "log.none_fit" : "log.none")}</p>`
      }
      ${rate > 20 && html`<p class="hint number">${t("log.rate", { n: Math.round(rate), kept: KEPT })}</p>`}
    </div>
  </section>`;
}

/** When the device was attached, from where, and why that ended. */
function Sessions({ id }) {
  const [{ items, error }, setState] = useState({ items: null, error: null });
  useEffect(() => {
    let current = true;
    const load = () =>
      api("GET", devicePath(id, "/sessions")).then(
        (found) => current && setState({ items: found.items, error: null }),
        (problem) => current && setState((before) => ({ ...before, error: problem })),
      );
    load();
    const undo = [onLive("reset", load), onLive("presence", (event) => event.device === id && load())];
    return () => ((current = false), undo.forEach((each) => each()));
  }, [id]);
  return html`<section class="card" aria-labelledby="sessions-title">
    <header class="card-head"><h2 id="sessions-title">${t("sessions.title")}</h2></header>
    ${error && html`<div class="card-body"><${Problem} error=${error} /></div>`}
    ${items?.length === 0 && html`<p class="card-note">${t("sessions.none")}</p>`}
    ${
      items?.length > 0 &&
      html`<div class="table-scroll" tabindex="0"><table class="sessions">
      <thead><tr>${["began", "lasted", "over", "address", "why"].map(
        (column) => html`<th scope="col" key=${column}>${t(`sessions.${column}`)}</th>`,
      )}</tr></thead>
      <tbody>${items.map(
        (each) => html`<tr key=${`${each.from} ${each.address}`}>
          <td class="number">${absolute(each.from)}</td>
          <td class="number">${
            each.to ? duration((each.to - each.from) / 1_000) : each.why ? "–" : t("sessions.attached")
          }</td>
          <td><span class="chip">${each.dialect}</span>${each.encrypted && html` <${Icon} name="key-round" />
            <span class="visually-hidden">TLS</span>`}</td>
          <td class="number">${each.address === "local" ? t("fact.local") : each.address}</td>
          <td class="soft">${each.why ?? ""}</td></tr>`,
      )}</tbody></table></div>`
    }
  </section>`;
}

export function Log({ device }) {
  return html`<div class="log"><${Frames} id=${device.id} /><${Sessions} id=${device.id} /></div>`;
}
