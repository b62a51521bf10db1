// How a device attaches: programs to paste with this server's real address, or a simulation where there is no device.
import { html, useEffect, useState } from "../vendor/preact.mjs";
import { api, apiHref, devicePath, mayAs } from "../core/api.mjs";
import { hasText, t } from "../core/i18n.mjs";
import { recall, remember } from "../core/preferences.mjs";
import { Code, Icon, Problem } from "./elements.mjs";
import { Simulate } from "./simulate.mjs";

const LOOPBACK = /^(localhost|127\.|\[?::1)/;
const SHOWN_OF_TOKEN = 6;
const SIMULATED = "simulated";
/** What a proxy hands on; the others need a port of their own that is open past it. */
const OVER_HTTP = new Set(["curl", "homeassistant", "nodered", "paho", "websocket", SIMULATED]);
/** What has the authority's certificate in its text, and what asks the system whom to trust. */
const WITHIN = new Set(["arduino", "esphome", "micropython"]);
const KNOWN_TO_SYSTEM = new Set(["powershell", "websocket"]);

/**
 * The snippets in tabs, as the server made them for the address this page was reached by, or for another of its
 * machine where this one is good on this computer alone. The token, which the server does not keep, is put in here:
 * hidden on screen, copied whole. Without one its place stays to be filled in.
 */
export function Snippets({ id, token }) {
  const [{ found, hosts, error }, setState] = useState({});
  const [chosen, setChosen] = useState(recall("snippet", "nc"));
  const [secure, setSecure] = useState(recall("snippet_tls", location.protocol === "https:" ? "on" : "off") === "on");
  const [host, setHost] = useState(location.hostname);
  useEffect(() => {
    let current = true;
    const origin = location.origin.replace(location.hostname, host.includes(":") && !host.startsWith("[") ? `[${host}]` : host);
    const query = new URLSearchParams({ origin });
    api("GET", devicePath(id, `/snippets?${query}`)).then(
      // The addresses to choose from come with the answer for the one that is of no use elsewhere.
      (answer) => current && setState((before) => ({ found: answer, hosts: before.hosts ?? answer.hosts })),
      (problem) => current && setState({ error: problem }),
    );
    return () => (current = false);
  }, [id, host]);
  if (error) return html`<${Problem} error=${error} />`;
  if (!found) return null;
  const names = [...found.items.map((each) => each.name), ...(mayAs("operator") ? [SIMULATED] : [])];
  const name = names.includes(chosen) ? chosen : names[0];
  const snippet = found.items.find((each) => each.name === name);
  // Where a door is open in one way only, that one is shown.
  const overTls = snippet !== undefined && (secure ? snippet.tls !== null : snippet.text === null);
  const choose = (next) => (setChosen(next), remember("snippet", next));
  return html`<div class="stack">
    <div class="chips-scroll"><div class="segments wrapped" role="group" aria-label=${t("connect.with")}>
      ${names.map((each) => html`<button type="button" key=${each} aria-pressed=${each === name}
        onClick=${() => choose(each)}>${t(`connect.${each}`)}</button>`)}
    </div></div>
    ${
      snippet !== undefined &&
      html`<div class="connect-ways">
        <${Security} items=${found.items} secure=${secure} onChoose=${(on) => {
          setSecure(on);
          remember("snippet_tls", on ? "on" : "off");
        }} />
        <${Hosts} hosts=${hosts ?? []} host=${host} onChoose=${setHost} />
      </div>`
    }
    ${
      snippet === undefined
        ? html`<${Simulate} id=${id} />`
        : html`<${Program} text=${overTls ? snippet.tls : snippet.text} place=${found.token} token=${token} />`
    }
    ${hasText(`connect.${name}_hint`) && html`<p class="hint">${t(`connect.${name}_hint`)}</p>`}
    ${snippet !== undefined && overTls !== secure && html`<p class="hint">${t(secure ? "connect.only_plain" : "connect.only_tls")}</p>`}
    ${overTls && found.ca && html`<${Authority} ca=${found.ca} name=${name} relayed=${found.relayed} />`}
    ${
      found.relayed &&
      !OVER_HTTP.has(name) &&
      html`<div class="notice"><${Icon} name="circle-alert" /><span>
      ${t("connect.relayed", { host: location.host })}</span></div>`
    }
    ${LOOPBACK.test(host) && html`<div class="notice"><${Icon} name="circle-alert" /><span>
      ${t("connect.loopback", { host })}</span></div>`}
  </div>`;
}

/** The program, its token hidden on screen. */
function Program({ text, place, token }) {
  const masked = token ? token.slice(0, SHOWN_OF_TOKEN) + "•".repeat(8) : place;
  return html`<${Code} text=${text.replaceAll(place, token ?? place)} shown=${text.replaceAll(place, masked)} />`;
}

/** Plainly or over TLS, where both can be had of something. */
function Security({ items, secure, onChoose }) {
  if (!items.some((each) => each.tls !== null) || !items.some((each) => each.text !== null)) return null;
  return html`<div class="segments" role="group" aria-label=${t("connect.security")}>
    ${[false, true].map((on) => html`<button type="button" key=${on} aria-pressed=${on === secure} onClick=${() => onChoose(on)}>
      ${t(on ? "connect.tls" : "connect.plain")}</button>`)}
  </div>`;
}

/** This computer's name for itself, and what others call it. */
function Hosts({ hosts, host, onChoose }) {
  if (hosts.length === 0) return null;
  return html`<label class="connect-host"><span>${t("connect.host")}</span>
    <select class="input" value=${host} onChange=${(event) => onChoose(event.target.value)}>
      ${[location.hostname, ...hosts].map((each) => html`<option key=${each} value=${each}>${each}</option>`)}
    </select></label>`;
}

/** Whom the program is to trust: the file that lies beside it, or what is in its text already. */
function Authority({ ca, name, relayed }) {
  if (relayed && OVER_HTTP.has(name)) return null;
  return html`<div class="notice connect-ca"><${Icon} name="key-round" /><div>
    <p>${t(WITHIN.has(name) ? "connect.ca_within" : KNOWN_TO_SYSTEM.has(name) ? "connect.ca_system" : "connect.ca_file")}${" "}
      ${!WITHIN.has(name) && html`<a href=${apiHref("/ca.pem")} download="ca.pem">${t("connect.ca_fetch")}</a>`}</p>
    <p class="hint">SHA-256 <code>${ca.fingerprint}</code></p>
  </div></div>`;
}
