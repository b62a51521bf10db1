// What the server has seen of a device since it was made: waiting, connected, first reading, and what was wrong.
import { html, useEffect, useRef, useState } from "../vendor/preact.mjs";
import { api, devicePath, mayAs } from "../core/api.mjs";
import { deviceSignal, loadDevice } from "../core/devices.mjs";
import { valueParts } from "../core/format.mjs";
import { t } from "../core/i18n.mjs";
import { onLive } from "../core/live.mjs";
import { Code, Icon } from "./elements.mjs";

const TROUBLE_AFTER_MS = 60_000;
const LOOK_EVERY_MS = 1_500;
const SHOWN = 3;
const ANSWER_WITHIN_S = 10;
/** The server's word for where the token belongs in a correction. */
const TOKEN_PLACE = "<token>";

/**
 * The newest refused frames since the first look, of this device and of whoever could not sign in: `[{who, frame}, …]`,
 * `who` being an address, or `null` for the device. The server keeps what it refused and tells nobody of it by itself.
 */
function useRefusals(id) {
  const [found, setFound] = useState([]);
  const known = useRef(null);
  useEffect(() => {
    let timer = null;
    let over = false;
    async function look() {
      try {
        const [own, strangers] = await Promise.all([
          api("GET", devicePath(id, "/frames")),
          mayAs("operator") ? api("GET", "/strangers") : { items: [] },
        ]);
        if (over) return;
        const all = [
          ...own.items.map((frame) => ({ who: null, frame })),
          ...strangers.items.flatMap(({ address, frames }) => frames.map((frame) => ({ who: address, frame }))),
        ].filter(({ frame }) => frame.verdict === "refused");
        // A new device has refused nothing before; what others did before it was made is no news here.
        known.current ??= Math.max(0, ...all.filter(({ who }) => who).map(({ frame }) => frame.number));
        const news = all.filter(({ frame }) => frame.number > known.current);
        setFound(news.sort((a, b) => b.frame.number - a.frame.number).slice(0, SHOWN));
      } catch {
        // Away: the page says so by itself, and the next look may find it back.
      }
      if (!over) timer = setTimeout(look, LOOK_EVERY_MS);
    }
    look();
    return () => ((over = true), clearTimeout(timer));
  }, [id]);
  return found;
}

/** One refused frame: what came, why it was not taken, and what was probably meant. */
function Refusal({ who, frame, token }) {
  const text = [frame.head, frame.body].filter(Boolean).join("\n");
  return html`<li class="refusal">
    <p><${Icon} name="circle-alert" /><strong>${t("connect.refused", {
      from: who ?? frame.from.replace(/:\d+$/, ""),
      dialect: frame.dialect,
    })}</strong></p>
    ${text && html`<pre class="refusal-sent" tabindex="0">${text}</pre>`}
    <p class="refusal-why">${frame.reason}</p>
    ${
      frame.correction &&
      html`<p class="soft">${t("connect.try")}</p>
      <${Code} text=${frame.correction.replaceAll(TOKEN_PLACE, token)} shown=${frame.correction} />`
    }
  </li>`;
}

/** The way back: a command to a device that is attached, and what it said. */
function SendBack({ id }) {
  const [said, setSaid] = useState(null);
  const [busy, setBusy] = useState(false);
  async function blink() {
    setBusy(true);
    try {
      const answer = await api("POST", devicePath(id, "/commands"), { method: "blink", wait_s: ANSWER_WITHIN_S });
      setSaid(t("connect.answered", { answer: JSON.stringify(answer.result) }));
    } catch (error) {
      setSaid(error.text);
    }
    setBusy(false);
  }
  return html`<p class="send-back">
    <button type="button" class="button small" disabled=${busy} onClick=${blink}><${Icon} name="send" />
      ${t("connect.blink")}</button>${said && html`<span class="mono">${said}</span>`}</p>`;
}

/** `since`: when the waiting began, ms. `token` completes corrections; without one its place stays. */
export function Listening({ id, since, token = TOKEN_PLACE }) {
  const device = deviceSignal(id).value;
  const [trouble, setTrouble] = useState(false);
  const [met, setMet] = useState(null);
  const connected = device?.presence.connected;
  const first = Object.entries(device?.latest ?? {}).filter(([, latest]) => latest.ts >= since);
  const refusals = useRefusals(id);

  useEffect(() => {
    const timer = setTimeout(() => setTrouble(true), TROUBLE_AFTER_MS);
    const undo = onLive("reset", () => loadDevice(id).catch(() => {})); // offline again: the next reset fetches it
    return () => (clearTimeout(timer), undo());
  }, [id]);
  // `printf … | nc` is gone again at once: what was seen stays said.
  useEffect(() => void (connected && setMet(connected)), [connected]);

  const state = first.length ? "done" : met ? "met" : "waiting";
  const from = met?.from === "local" ? t("fact.local") : met?.from;
  return html`<div class="listening ${state}" role="status">
    <span class="listening-mark"><${Icon} name=${state === "done" ? "check" : state === "met" ? "activity" : "radio"} />
    </span>
    <div>
      <strong>${t(`connect.${state}_title`)}</strong>
      ${state === "waiting" && html`<p>${t(trouble ? "connect.trouble" : "connect.waiting_text")}</p>`}
      ${state === "met" && html`<p>${t("connect.met_text", { from: from ?? "", dialect: met.dialect })}</p>`}
      ${state === "done" && html`<p class="mono">${first.slice(0, 4).map(([key, { value }]) => html`<span>
        ${key} = ${valueParts(key, value).join(" ").trim()}</span>`)}</p>`}
      ${state === "done" && connected && mayAs("operator") && html`<${SendBack} id=${id} />`}
    </div>
  </div>
  ${
    refusals.length > 0 &&
    html`<ul class="refusals" role="status" aria-label=${t("connect.refusals")}>${refusals.map(
      ({ who, frame }) => html`<${Refusal} key=${frame.number} who=${who} frame=${frame} token=${token} />`,
    )}</ul>`
  }`;
}
