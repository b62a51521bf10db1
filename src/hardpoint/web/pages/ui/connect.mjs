// How a device attaches: lines to paste with this server's real address, and the proof that they worked beside them.
import { html, useEffect, useState } from "../vendor/preact.mjs";
import { deviceSignal, loadDevice } from "../core/devices.mjs";
import { valueParts } from "../core/format.mjs";
import { hasText, t } from "../core/i18n.mjs";
import { onLive } from "../core/live.mjs";
import { recall, remember } from "../core/preferences.mjs";
import { Code, Icon } from "./elements.mjs";

const LOOPBACK = /^(localhost|127\.|\[?::1)/;
const TROUBLE_AFTER_MS = 60_000;
const SHOWN_OF_TOKEN = 6;

/** Host and ports to put into snippets: the name the browser used, and where the listeners really are. */
export async function findDoors() {
  // Not through api(): a degraded server answers 503, and its doors are open all the same.
  const { listeners } = await (await fetch("/api/health")).json();
  const port = (...schemes) =>
    listeners.find(({ url }) => schemes.some((scheme) => url.startsWith(`${scheme}://`)))?.port;
  return { host: location.hostname, line: port("line", "any"), origin: location.origin };
}

/**
 * The snippets by what one has in hand: name → text. Tokens are `[A-Za-z0-9_]` and hosts come from the address bar, so
 * none needs escaping in any of these languages. A door that is not open has no snippet.
 */
export function snippets({ host, line, origin }, token) {
  const bare = host.replace(/^\[|\]$/g, "");
  const found = {};
  // QUIT makes the server close: OpenBSD's nc never half-closes without -N, and would stay.
  if (line) found.nc = `printf 'HELLO ${token}\\ntemp=21.5\\nQUIT\\n' | nc ${bare} ${line}`;
  found.curl = `curl -X POST ${origin}/api/v1/${token}/telemetry \\
  -H 'Content-Type: application/json' -d '{"temp": 21.5}'`;
  if (line) {
    found.python = `import socket

with socket.create_connection(("${bare}", ${line})) as device:
    lines = device.makefile("rw", encoding="utf-8", newline="\\n")

    def say(line):
        lines.write(line + "\\n")
        lines.flush()

    say("HELLO ${token}")
    say("temp=21.5")
    for line in lines:
        print(line, end="")
        if line.startswith("!"):            # !<id> <method> <params>: a command
            say(line.split()[0] + ' OK "done"')`;
    const address = host.includes(":") ? `[${bare}]` : bare;
    found.agent = `hardpoint agent --server ${address}:${line} --token ${token}`;
  }
  return found;
}

/** The snippets in tabs. The token is hidden on screen and copied whole. */
export function Snippets({ token }) {
  const [doors, setDoors] = useState(null);
  const [chosen, setChosen] = useState(recall("snippet", "nc"));
  useEffect(() => {
    findDoors().then(setDoors, () => setDoors({ host: location.hostname, origin: location.origin }));
  }, []);
  if (!doors) return null;
  const texts = snippets(doors, token);
  const name = chosen in texts ? chosen : Object.keys(texts)[0];
  const choose = (next) => (setChosen(next), remember("snippet", next));
  const masked = token.slice(0, SHOWN_OF_TOKEN) + "•".repeat(8);
  return html`<div class="stack">
    <div class="chips-scroll"><div class="segments" role="group" aria-label=${t("connect.with")}>
      ${Object.keys(texts).map((each) => html`<button type="button" key=${each} aria-pressed=${each === name}
        onClick=${() => choose(each)}>${t(`connect.${each}`)}</button>`)}
    </div></div>
    <${Code} text=${texts[name]} shown=${texts[name].replaceAll(token, masked)} />
    ${hasText(`connect.${name}_hint`) && html`<p class="hint">${t(`connect.${name}_hint`)}</p>`}
    ${LOOPBACK.test(doors.host) && html`<div class="notice"><${Icon} name="circle-alert" /><span>
      ${t("connect.loopback", { host: doors.host })}</span></div>`}
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
