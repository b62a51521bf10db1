// Unknown devices that have named themselves and wait to be adopted, above the device list. Nothing where nobody waits.
import { html, useEffect, useState } from "../vendor/preact.mjs";
import { api } from "../core/api.mjs";
import { deviceSignal } from "../core/devices.mjs";
import { t } from "../core/i18n.mjs";
import { deviceHref } from "../core/router.mjs";
import { loadStyle } from "../core/styles.mjs";
import { TokenShown } from "./add_device.mjs";
import { Dialog } from "./dialog.mjs";
import { Ago, Icon, IconButton, Problem } from "./elements.mjs";
import { showDialog } from "./shell.mjs";
import { toastError } from "./toast.mjs";

await loadStyle("css/unknown.css");

const EVERY_MS = 5_000;

/** Of its first frames the last: the first is often no more than its name. */
const said = ({ frames }) => [frames.at(-1)?.head, frames.at(-1)?.body].filter(Boolean).join(" ");

function AdoptDialog({ unknown, onClose }) {
  const [name, setName] = useState(unknown.name);
  const [made, setMade] = useState(null);
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  // The server says so too, of a name that was typed: then the button says what it does.
  const taken = error?.status === 409 || (name.trim() === unknown.name && unknown.known !== null);

  async function submit(event) {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      const body = { name: name.trim(), replace: taken };
      const { token, told, ...device } = await api("POST", `/unknown-devices/${unknown.id}/adopt`, body);
      if (!deviceSignal(device.id).peek()) deviceSignal(device.id).value = device;
      setMade({ id: device.id, name: device.name, token, told, since: device.created });
    } catch (problem) {
      setError(problem);
      setBusy(false);
    }
  }

  if (made) {
    return html`<${Dialog} title=${t("unknown.adopted_title", { name: made.name })} wide onClose=${onClose}>
      <div class="notice ${made.told ? "good" : ""}"><${Icon} name=${made.told ? "check" : "key-round"} /><div>
        ${t(made.told ? "unknown.told" : "unknown.not_told")}</div></div>
      ${!made.told && html`<${TokenShown} id=${made.id} token=${made.token} since=${made.since} />`}
      <div class="dialog-foot">
        <button type="button" class="button" onClick=${onClose}>${t("action.done")}</button>
        <a class="button primary" href=${deviceHref(made.id)} onClick=${onClose}>${t("add.open")}</a>
      </div>
    <//>`;
  }
  return html`<${Dialog} title=${t("unknown.adopt_title", { name: unknown.name })} onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      ${error && error.field !== "name" && html`<${Problem} error=${error} />`}
      <p class="soft">${t("unknown.adopt_text", { address: unknown.address })}</p>
      <div class="field">
        <label for="adopt-name">${t("add.name")}</label>
        <input class="input" id="adopt-name" data-focus required maxlength="128" autocomplete="off" spellcheck=${false}
          value=${name} aria-invalid=${error?.field === "name"} aria-describedby="adopt-name-hint"
          onInput=${(event) => (setName(event.target.value), setError(null))} />
        <span id="adopt-name-hint" class=${error?.field === "name" ? "field-error" : "hint"}>
          ${error?.field === "name" && !taken ? error.text : t("add.name_hint")}</span>
      </div>
      ${taken && html`<div class="notice warn" role="alert"><${Icon} name="triangle-alert" /><div>${t("unknown.taken")}</div></div>`}
      <div class="dialog-foot">
        <button type="button" class="button" onClick=${onClose}>${t("action.cancel")}</button>
        <button class="button primary" disabled=${busy || !name.trim()}>
          ${t(taken ? "unknown.replace" : "unknown.adopt")}</button>
      </div>
    </form>
  <//>`;
}

function Row({ unknown, ignore }) {
  const { name, address, dialect, adopted, connected, last_seen: seen, tries } = unknown;
  const words = said(unknown);
  return html`<li class="unknown">
    <div class="unknown-who">
      <strong>${name}</strong>
      <span class="faint"><span class="number">${address}</span> <span class="chip">${dialect}</span></span>
    </div>
    <code class="unknown-said" title=${words}>${words}</code>
    <span class="unknown-seen faint">${
      connected ? t("unknown.connected") : html`${t("unknown.tries", { n: tries })} · <${Ago} ts=${seen} />`
    }</span>
    <div class="unknown-acts">
      ${
        adopted
          ? html`<span class="soft">${t("unknown.not_back")}</span>`
          : html`<button type="button" class="button small primary"
              onClick=${() => showDialog(() => AdoptDialog, { unknown })}>${t("unknown.adopt")}</button>
            <${IconButton} icon="x" small label=${t("unknown.ignore", { name })} onClick=${ignore} />`
      }
    </div>
  </li>`;
}

/** `[items, reload]`, asked for again and again while the page is looked at, and no more where nobody ever waits. */
function useUnknown() {
  const [items, setItems] = useState([]);
  const [round, setRound] = useState(0);
  useEffect(() => {
    let timer = null;
    const ask = async () => {
      try {
        const found = document.hidden ? null : await api("GET", "/unknown-devices");
        if (found) setItems(found.items.filter((each) => !each.ignored));
        if (found?.enabled === false) return;
      } catch {
        // The server is away: the page says so already.
      }
      timer = setTimeout(ask, EVERY_MS);
    };
    ask();
    return () => clearTimeout(timer);
  }, [round]);
  return [items, () => setRound((n) => n + 1)];
}

export function UnknownDevices() {
  const [items, reload] = useUnknown();
  if (!items.length) return null;
  const ignore = (id) => api("DELETE", `/unknown-devices/${id}`).then(reload, toastError);
  return html`<section class="card unknown-card" aria-labelledby="unknown-title">
    <h2 id="unknown-title"><${Icon} name="radio" />${t("unknown.title", { n: items.length })}</h2>
    <ul>${items.map((each) => html`<${Row} key=${each.id} unknown=${each} ignore=${() => ignore(each.id)} />`)}</ul>
  </section>`;
}
