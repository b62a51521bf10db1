// How a device attaches: lines to paste with this server's real address, and the proof that they worked beside them.
import { html, useEffect, useState } from "../vendor/preact.mjs";
import { api, devicePath } from "../core/api.mjs";
import { deviceSignal, loadDevice } from "../core/devices.mjs";
import { valueParts } from "../core/format.mjs";
import { hasText, t } from "../core/i18n.mjs";
import { onLive } from "../core/live.mjs";
import { recall, remember } from "../core/preferences.mjs";
import { Code, Icon, Problem } from "./elements.mjs";

const LOOPBACK = /^(localhost|127\.|\[?::1)/;
const TROUBLE_AFTER_MS = 60_000;
const SHOWN_OF_TOKEN = 6;

/** The snippets in tabs, as the server made them for the address this page was reached by. The token, which the server
 * does not keep, is put in here: hidden on screen, copied whole. */
export function Snippets({ id, token }) {
  const [{ found, error }, setState] = useState({});
  const [chosen, setChosen] = useState(recall("snippet", "nc"));
  useEffect(() => {
    const query = new URLSearchParams({ origin: location.origin });
    api("GET", devicePath(id, `/snippets?${query}`)).then(
      (answer) => setState({ found: answer }),
      (problem) => setState({ error: problem }),
    );
  }, [id]);
  if (error) return html`<${Problem} error=${error} />`;
  if (!found) return null;
  const { name, text } = found.items.find((each) => each.name === chosen) ?? found.items[0];
  const choose = (next) => (setChosen(next), remember("snippet", next));
  const masked = token.slice(0, SHOWN_OF_TOKEN) + "•".repeat(8);
  return html`<div class="stack">
    <div class="chips-scroll"><div class="segments wrapped" role="group" aria-label=${t("connect.with")}>
      ${found.items.map((each) => html`<button type="button" key=${each.name} aria-pressed=${each.name === name}
        onClick=${() => choose(each.name)}>${t(`connect.${each.name}`)}</button>`)}
    </div></div>
    <${Code} text=${text.replaceAll(found.token, token)} shown=${text.replaceAll(found.token, masked)} />
    ${hasText(`connect.${name}_hint`) && html`<p class="hint">${t(`connect.${name}_hint`)}</p>`}
    ${LOOPBACK.test(location.hostname) && html`<div class="notice"><${Icon} name="circle-alert" /><span>
      ${t("connect.loopback", { host: location.hostname })}</span></div>`}
  </div>`;
}

/** What has been seen of a device, live: waiting, connected, first reading. `since`: when the waiting began, ms. */
export function Listening({ id, since }) {
  const device = deviceSignal(id).value;
  const [trouble, setTrouble] = useState(false);
  const [met, setMet] = useState(null);
  const connected = device?.presence.connected;
  const first = Object.entries(device?.latest ?? {}).filter(([, latest]) => latest.ts >= since);

  useEffect(() => {
    const timer = setTimeout(() => setTrouble(true), TROUBLE_AFTER_MS);
    const undo = onLive("reset", () => loadDevice(id).catch(() => {})); // offline again: the next reset fetches it
    return () => (clearTimeout(timer), undo());
  }, [id]);
  // `printf … | nc` is gone again at once: what was seen stays said.
  useEffect(() => void (connected && setMet(connected)), [connected]);

  const state = first.length ? "done" : met ? "met" : "waiting";
  return html`<div class="listening ${state}" role="status">
    <span class="listening-mark"><${Icon} name=${state === "done" ? "check" : state === "met" ? "activity" : "radio"} />
    </span>
    <div>
      <strong>${t(`connect.${state}_title`)}</strong>
      ${state === "waiting" && html`<p>${t(trouble ? "connect.trouble" : "connect.waiting_text")}</p>`}
      ${state === "met" && html`<p>${t("connect.met_text", { from: met.from ?? "", dialect: met.dialect })}</p>`}
      ${state === "done" && html`<p class="mono">${first.slice(0, 4).map(([key, { value }]) => html`<span>
        ${key} = ${valueParts(key, value).join(" ").trim()}</span>`)}</p>`}
    </div>
  </div>`;
}
