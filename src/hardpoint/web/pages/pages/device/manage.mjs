// What is done to a device now and then: its name and labels, a new token, its end.
import { html, useState } from "../../vendor/preact.mjs";
import { api, devicePath } from "../../core/api.mjs";
import { deviceSignal } from "../../core/devices.mjs";
import { t } from "../../core/i18n.mjs";
import { navigate } from "../../core/router.mjs";
import { TokenShown } from "../../ui/add_device.mjs";
import { Dialog } from "../../ui/dialog.mjs";
import { Icon, Problem } from "../../ui/elements.mjs";
import { toast } from "../../ui/toast.mjs";

/** Labels as lines of `key: value`, and back. Throws a message for a line that is neither. */
export const labelLines = (labels) =>
  Object.entries(labels)
    .map(([key, value]) => `${key}: ${value}`)
    .join("\n");
export function parseLabels(text) {
  const lines = text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);
  return Object.fromEntries(
    lines.map((line) => {
      const [, key, value] = /^([^:=\s]+)\s*[:=]\s*(.+)$/.exec(line) ?? [];
      if (!key) throw new Error(t("edit.bad_label", { line }));
      return [key, value];
    }),
  );
}

/** State of a form that sends: `{error, busy, run}`. */
function useSending() {
  const [state, setState] = useState({ error: null, busy: false });
  async function run(action) {
    setState({ error: null, busy: true });
    try {
      await action();
      setState({ error: null, busy: false });
    } catch (error) {
      setState({ error, busy: false });
    }
  }
  return { ...state, run };
}

function Foot({ onClose, busy, label, danger = false, disabled = false }) {
  return html`<div class="dialog-foot">
    ${onClose && html`<button type="button" class="button" onClick=${onClose}>${t("action.cancel")}</button>`}
    <button class="button primary ${danger ? "danger" : ""}" disabled=${busy || disabled}>${label}</button>
  </div>`;
}

/** Name, labels and interval. `onCancel` where there is something to go back to. */
export function DeviceForm({ device, onSaved, onCancel }) {
  const { error, busy, run } = useSending();
  const [name, setName] = useState(device.name);
  const [labels, setLabels] = useState(labelLines(device.labels));
  const set = device.presence.expected_set ? String(device.presence.expected_every_s) : "";
  const [every, setEvery] = useState(set);
  const submit = (event) => {
    event.preventDefault();
    run(async () => {
      const changes = { name: name.trim(), labels: parseLabels(labels) };
      if (every !== set) changes.expected_every_s = every === "" ? null : Number(every);
      deviceSignal(device.id).value = await api("PATCH", devicePath(device.id), changes);
      onSaved();
    });
  };
  return html`<form class="stack" onSubmit=${submit}>
      ${error && html`<${Problem} error=${error} />`}
      <div class="field"><label for="edit-name">${t("add.name")}</label>
        <input class="input" id="edit-name" data-focus required maxlength="128" autocomplete="off" value=${name}
          onInput=${(e) => setName(e.target.value)} />
        <span class="hint">${t("edit.name_hint", { id: device.id })}</span></div>
      <div class="field"><label for="edit-labels">${t("edit.labels")}</label>
        <textarea class="input mono" id="edit-labels" rows="3" placeholder="site: greenhouse" value=${labels}
          onInput=${(e) => setLabels(e.target.value)}></textarea></div>
      <div class="field"><label for="edit-every">${t("edit.every")}</label>
        <input class="input" id="edit-every" type="number" min="0.1" step="any" max="31536000"
          placeholder=${t("edit.every_learnt")} value=${every} onInput=${(e) => setEvery(e.target.value)} />
        <span class="hint">${t("edit.every_hint")}</span></div>
      <${Foot} onClose=${onCancel} busy=${busy} label=${t("action.save")} />
    </form>`;
}

export function EditDialog({ device, onClose }) {
  return html`<${Dialog} title=${t("edit.title")} onClose=${onClose}>
    <${DeviceForm} device=${device} onSaved=${onClose} onCancel=${onClose} />
  <//>`;
}

export function TokenDialog({ device, onClose }) {
  const { error, busy, run } = useSending();
  const [made, setMade] = useState(null);
  const submit = (event) => {
    event.preventDefault();
    run(async () => setMade({ token: (await api("POST", devicePath(device.id, "/token"))).token, since: Date.now() }));
  };
  if (made) {
    return html`<${Dialog} title=${t("token.made_title", { name: device.name })} wide onClose=${onClose}>
      <${TokenShown} id=${device.id} ...${made} />
      <div class="dialog-foot"><button type="button" class="button primary" onClick=${onClose}>${t("action.done")}
      </button></div>
    <//>`;
  }
  return html`<${Dialog} title=${t("token.title", { name: device.name })} onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      ${error && html`<${Problem} error=${error} />`}
      <div class="notice warn"><${Icon} name="triangle-alert" /><span>${t("token.text")}</span></div>
      <${Foot} onClose=${onClose} busy=${busy} label=${t("token.submit")} />
    </form>
  <//>`;
}

export function DeleteDialog({ device, onClose }) {
  const { error, busy, run } = useSending();
  const [typed, setTyped] = useState("");
  const submit = (event) => {
    event.preventDefault();
    run(async () => {
      await api("DELETE", devicePath(device.id));
      onClose();
      navigate("/devices");
      toast(t("delete.done", { name: device.name }));
    });
  };
  return html`<${Dialog} title=${t("delete.title", { name: device.name })} onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      ${error && html`<${Problem} error=${error} />`}
      <div class="notice bad"><${Icon} name="triangle-alert" /><span>${t("delete.text")}</span></div>
      <div class="field"><label for="delete-name">${t("delete.type", { name: device.name })}</label>
        <input class="input" id="delete-name" data-focus autocomplete="off" autocapitalize="none" spellcheck=${false}
          value=${typed} onInput=${(e) => setTyped(e.target.value)} /></div>
      <${Foot} onClose=${onClose} busy=${busy} danger disabled=${typed !== device.name} label=${t("delete.submit")} />
    </form>
  <//>`;
}
