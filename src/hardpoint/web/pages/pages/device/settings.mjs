// What is set of a device: its name, labels and interval, and of each key how it is shown and how long it is kept.
import { html, useState } from "../../vendor/preact.mjs";
import { api, devicePath, mayAs } from "../../core/api.mjs";
import { deviceSignal } from "../../core/devices.mjs";
import { unitOf } from "../../core/format.mjs";
import { t } from "../../core/i18n.mjs";
import { Icon, Problem } from "../../ui/elements.mjs";
import { showDialog } from "../../ui/shell.mjs";
import { toast } from "../../ui/toast.mjs";
import { DeleteDialog, DeviceForm, TokenDialog } from "./manage.mjs";

const DAY_S = 86_400;
const MOST_DECIMALS = 9;
const COLUMNS = ["label", "unit", "decimals", "keep_days"];

/** A field as its inputs hold it. */
const typed = (field = {}) => ({
  label: field.label ?? "",
  unit: field.unit ?? "",
  decimals: field.decimals === undefined ? "" : String(field.decimals),
  keep_days: field.keep_s ? String(field.keep_s / DAY_S) : "",
});

/** Inputs as a field; `null` where nothing is set. */
export function fieldOf({ label, unit, decimals, keep_days: days }) {
  const field = {
    ...(label.trim() && { label: label.trim() }),
    ...(unit.trim() && { unit: unit.trim() }),
    ...(decimals !== "" && { decimals: Number(decimals) }),
    ...(days !== "" && { keep_s: Number(days) * DAY_S }),
  };
  return Object.keys(field).length ? field : null;
}

function Row({ name, values, mayEdit, onInput }) {
  const input = (column, more) => html`<td><input class="input ${column}" aria-label="${name}: ${t(`field.${column}`)}"
    autocomplete="off" spellcheck=${false} readonly=${!mayEdit} value=${values[column]} ...${more}
    onInput=${(e) => onInput({ ...values, [column]: e.target.value })} /></td>`;
  return html`<tr>
    <th scope="row" class="mono" title=${name}>${name}</th>
    ${input("label", { maxlength: 64, placeholder: name })}
    ${input("unit", { maxlength: 16, placeholder: unitOf(name) })}
    ${input("decimals", { type: "number", min: 0, max: MOST_DECIMALS, step: 1 })}
    ${input("keep_days", { type: "number", min: 0.01, step: "any", placeholder: "∞" })}
  </tr>`;
}

/** Every key in one form; only what was changed is sent. */
function Fields({ device }) {
  const [drafts, setDrafts] = useState({});
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  const mayEdit = mayAs("operator");
  const keys = [...new Set([...Object.keys(device.latest), ...Object.keys(device.fields ?? {})])].sort();
  async function submit(event) {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      const changes = Object.fromEntries(Object.entries(drafts).map(([key, values]) => [key, fieldOf(values)]));
      const fields = await api("PATCH", devicePath(device.id, "/fields"), changes);
      const known = deviceSignal(device.id);
      known.value = { ...known.peek(), fields };
      setDrafts({});
      toast(t("field.saved"));
    } catch (problem) {
      setError(problem);
    }
    setBusy(false);
  }
  if (!keys.length) return html`<p class="card-note">${t("field.none")}</p>`;
  return html`<form class="card-body stack" onSubmit=${submit}>
    ${error && html`<${Problem} error=${error} />`}
    <div class="table-scroll" tabindex="0"><table class="fields">
      <thead><tr><th scope="col">${t("data.key")}</th>${COLUMNS.map(
        (column) => html`<th scope="col" key=${column}>${t(`field.${column}`)}</th>`,
      )}</tr></thead>
      <tbody>${keys.map(
        (key) => html`<${Row} key=${key} name=${key} mayEdit=${mayEdit} values=${drafts[key] ?? typed(device.fields?.[key])}
          onInput=${(values) => setDrafts((before) => ({ ...before, [key]: values }))} />`,
      )}</tbody>
    </table></div>
    <p class="hint">${t("field.hint")}</p>
    ${
      mayEdit &&
      html`<div><button class="button primary" disabled=${busy || !Object.keys(drafts).length}>
      ${t("action.save")}</button></div>`
    }
  </form>`;
}

export function Settings({ device }) {
  const show = (Kind) => () => showDialog(() => Kind, { device });
  return html`<div class="settings">
    <section class="card" aria-labelledby="fields-title">
      <header class="card-head"><h2 id="fields-title">${t("field.title")}</h2></header>
      <${Fields} device=${device} />
    </section>
    ${
      mayAs("operator") &&
      html`<section class="card" aria-labelledby="edit-title">
      <header class="card-head"><h2 id="edit-title">${t("edit.title")}</h2></header>
      <div class="card-body"><${DeviceForm} key=${device.id} device=${device} onSaved=${() => toast(t("field.saved"))} />
      </div>
    </section>
    <section class="card" aria-labelledby="danger-title">
      <header class="card-head"><h2 id="danger-title">${t("device.actions")}</h2></header>
      <div class="card-body danger-actions">
        <button type="button" class="button" onClick=${show(TokenDialog)}><${Icon} name="key-round" />
          ${t("device.token")}</button>
        ${
          mayAs("admin") &&
          html`<button type="button" class="button danger" onClick=${show(DeleteDialog)}>
          <${Icon} name="trash-2" />${t("device.delete")}</button>`
        }
      </div>
    </section>`
    }
  </div>`;
}
