// Add a device: name it, paste a line, see it arrive. One dialog, so that the snippet and its proof are on one screen.
import { html, useState } from "../vendor/preact.mjs";
import { api } from "../core/api.mjs";
import { deviceIds, deviceSignal } from "../core/devices.mjs";
import { t } from "../core/i18n.mjs";
import { loadStyle } from "../core/styles.mjs";
import { deviceHref } from "../core/router.mjs";
import { Snippets } from "./connect.mjs";
import { Dialog } from "./dialog.mjs";
import { CopyButton, Icon, Problem } from "./elements.mjs";
import { Listening } from "./listening.mjs";

await loadStyle("css/device.css");

/** `device-1`, or the first number that is free. */
function freeName() {
  const taken = new Set((deviceIds.peek() ?? []).map((id) => deviceSignal(id).peek()?.name));
  let n = 1;
  while (taken.has(`device-${n}`)) n += 1;
  return `device-${n}`;
}

/** The token, this once, with how to use it. */
export function TokenShown({ id, token, since }) {
  return html`<div class="token"><${Icon} name="key-round" /><code>${token}</code>
    <${CopyButton} text=${token} label=${t("connect.copy_token")} /></div>
    <p class="hint">${t("connect.once")}</p>
    <${Snippets} id=${id} token=${token} />
    <${Listening} id=${id} since=${since} token=${token} />`;
}

export function AddDeviceDialog({ onClose }) {
  const [name, setName] = useState(freeName);
  const [made, setMade] = useState(null);
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);

  async function submit(event) {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      const { token, ...device } = await api("POST", "/devices", { name: name.trim() });
      // The live event may have come before this answer, with a reading already: keep the newer one.
      if (!deviceSignal(device.id).peek()) deviceSignal(device.id).value = device;
      setMade({ id: device.id, name: device.name, token, since: device.created });
    } catch (problem) {
      setError(problem);
      setBusy(false);
    }
  }

  if (made) {
    return html`<${Dialog} title=${t("add.made_title", { name: made.name })} wide onClose=${onClose}>
      <${TokenShown} ...${made} />
      <div class="dialog-foot">
        <button type="button" class="button" onClick=${onClose}>${t("action.done")}</button>
        <a class="button primary" href=${deviceHref(made.id)} onClick=${onClose}>${t("add.open")}</a>
      </div>
    <//>`;
  }
  return html`<${Dialog} title=${t("add.title")} onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      ${error && error.field !== "name" && html`<${Problem} error=${error} />`}
      <div class="field">
        <label for="device-name">${t("add.name")}</label>
        <input class="input" id="device-name" data-focus required maxlength="128" autocomplete="off" spellcheck=${false}
          value=${name}
          aria-invalid=${error?.field === "name"} aria-describedby="device-name-hint"
            onFocus=${(e) => e.target.select()} onInput=${(e) => setName(e.target.value)} />
        <span id="device-name-hint" class=${error?.field === "name" ? "field-error" : "hint"}>
          ${error?.field === "name" ? error.text : t("add.name_hint")}</span>
      </div>
      <div class="dialog-foot">
        <button type="button" class="button" onClick=${onClose}>${t("action.cancel")}</button>
        <button class="button primary" disabled=${busy || !name.trim()}>${t("add.submit")}</button>
      </div>
    </form>
  <//>`;
}
