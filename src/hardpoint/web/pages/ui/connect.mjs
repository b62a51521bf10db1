// How a device attaches: programs to paste with this server's real address, or a simulation where there is no device.
import { html, useEffect, useState } from "../vendor/preact.mjs";
import { api, devicePath, mayAs } from "../core/api.mjs";
import { hasText, t } from "../core/i18n.mjs";
import { recall, remember } from "../core/preferences.mjs";
import { Code, Icon, Problem } from "./elements.mjs";
import { Simulate } from "./simulate.mjs";

const LOOPBACK = /^(localhost|127\.|\[?::1)/;
const SHOWN_OF_TOKEN = 6;
const SIMULATED = "simulated";
/** What a proxy hands on; the others need a port of their own that is open past it. */
const OVER_HTTP = new Set(["curl", "nodered", "paho", "websocket", SIMULATED]);

/**
 * The snippets in tabs, as the server made them for the address this page was reached by. The token, which the server
 * does not keep, is put in here: hidden on screen, copied whole. Without one its place stays to be filled in.
 */
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
  const names = [...found.items.map((each) => each.name), ...(mayAs("operator") ? [SIMULATED] : [])];
  const name = names.includes(chosen) ? chosen : names[0];
  const text = found.items.find((each) => each.name === name)?.text;
  const choose = (next) => (setChosen(next), remember("snippet", next));
  const masked = token ? token.slice(0, SHOWN_OF_TOKEN) + "•".repeat(8) : found.token;
  return html`<div class="stack">
    <div class="chips-scroll"><div class="segments wrapped" role="group" aria-label=${t("connect.with")}>
      ${names.map((each) => html`<button type="button" key=${each} aria-pressed=${each === name}
        onClick=${() => choose(each)}>${t(`connect.${each}`)}</button>`)}
    </div></div>
    ${
      name === SIMULATED
        ? html`<${Simulate} id=${id} />`
        : html`<${Code} text=${text.replaceAll(found.token, token ?? found.token)}
            shown=${text.replaceAll(found.token, masked)} />`
    }
    ${hasText(`connect.${name}_hint`) && html`<p class="hint">${t(`connect.${name}_hint`)}</p>`}
    ${
      found.relayed &&
      !OVER_HTTP.has(name) &&
      html`<div class="notice"><${Icon} name="circle-alert" /><span>
      ${t("connect.relayed", { host: location.host })}</span></div>`
    }
    ${LOOPBACK.test(location.hostname) && html`<div class="notice"><${Icon} name="circle-alert" /><span>
      ${t("connect.loopback", { host: location.hostname })}</span></div>`}
  </div>`;
}
