// The dialogs: a person added or changed, a token made and shown this once.
import { html, useState } from "../../vendor/preact.mjs";
import { api } from "../../core/api.mjs";
import { t } from "../../core/i18n.mjs";
import { Dialog } from "../../ui/dialog.mjs";
import { Code, CopyButton, Icon, Problem } from "../../ui/elements.mjs";
import { LabelsField, NewPasswordField, RoleField } from "./fields.mjs";

const DAY_S = 86_400;
const ENDS_DAYS = [7, 30, 90, 365];

/** `{busy, error, submit}` of a form: `send` is asked, and what it throws is shown. */
function useSending(send) {
  const [state, setState] = useState({ busy: false, error: null });
  async function submit(event) {
    event.preventDefault();
    setState({ busy: true, error: null });
    try {
      await send();
      setState({ busy: false, error: null });
    } catch (error) {
      setState({ busy: false, error });
    }
  }
  return { ...state, submit };
}

function NameField({ value, onChange, label, hint, error }) {
  const wrong = error?.field === "name" || error?.field === "$.name";
  return html`<div class="field">
    <label for="person-name">${label}</label>
    <input class="input" id="person-name" data-focus required maxlength="64" autocomplete="off" spellcheck=${false}
      value=${value} aria-invalid=${wrong} aria-describedby="person-name-hint" onInput=${(e) => onChange(e.target.value)} />
    <span id="person-name-hint" class=${wrong ? "field-error" : "hint"}>${wrong ? error.text : hint}</span>
  </div>`;
}

const elsewhere = (error) =>
  error && !["name", "$.name", "labels"].includes(error.field) && html`<${Problem} error=${error} />`;

const Foot = ({ onClose, busy, words, ready = true }) => html`<div class="dialog-foot">
  <button type="button" class="button" onClick=${onClose}>${t("action.cancel")}</button>
  <button class="button primary" disabled=${busy || !ready}>${words}</button>
</div>`;

/** Add a person, or change `person`. `onSaved` is given what the server then says of them. */
export function PersonDialog({ person, onSaved, onClose }) {
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [role, setRole] = useState(person?.role ?? "viewer");
  const [labels, setLabels] = useState(person?.labels ?? []);
  const [disabled, setDisabled] = useState(person?.disabled ?? false);
  const { busy, error, submit } = useSending(async () => {
    const limits = role === "admin" ? [] : labels;
    const asked = person
      ? api("PATCH", `/users/${encodeURIComponent(person.name)}`, {
          role,
          labels: limits,
          disabled,
          ...(password && { password }),
        })
      : api("POST", "/users", { name: name.trim(), password, role, labels: limits });
    onSaved(await asked);
    onClose();
  });
  const title = person ? t("people.edit", { name: person.name }) : t("people.add");
  return html`<${Dialog} title=${title} onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      ${elsewhere(error)}
      ${
        !person &&
        html`<${NameField} value=${name} onChange=${setName} label=${t("people.name")} hint=${t("people.name_hint")}
          error=${error} />`
      }
      <${RoleField} role=${role} onChange=${setRole} />
      ${role !== "admin" && html`<${LabelsField} labels=${labels} onChange=${setLabels} error=${error} />`}
      <${NewPasswordField} value=${password} onChange=${setPassword} needed=${!person} error=${error}
        label=${t(person ? "people.password_new" : "people.password")} />
      ${
        person &&
        html`<label class="check"><input type="checkbox" checked=${disabled}
          onChange=${(e) => setDisabled(e.target.checked)} /><span>${t("people.disabled")}
          <span class="hint">${t("people.disabled_hint")}</span></span></label>`
      }
      <${Foot} onClose=${onClose} busy=${busy} words=${t(person ? "action.save" : "people.add")} />
    </form>
  <//>`;
}

/** Make an API token; `onMade` when there is one. */
export function TokenDialog({ onMade, onClose }) {
  const [name, setName] = useState("");
  const [role, setRole] = useState("viewer");
  const [labels, setLabels] = useState([]);
  const [days, setDays] = useState("90");
  const [made, setMade] = useState(null);
  const { busy, error, submit } = useSending(async () => {
    const expires_s = days ? Number(days) * DAY_S : null;
    setMade(await api("POST", "/tokens", { name: name.trim(), role, labels: role === "admin" ? [] : labels, expires_s }));
    onMade();
  });
  if (made) {
    const use = `curl -H "Authorization: Bearer ${made.token}" ${location.origin}/api/devices`;
    return html`<${Dialog} title=${t("token.made", { name: made.name })} wide onClose=${onClose}>
      <div class="token"><${Icon} name="key-round" /><code>${made.token}</code>
        <${CopyButton} text=${made.token} label=${t("connect.copy_token")} /></div>
      <p class="hint">${t("connect.once")}</p>
      <${Code} text=${use} shown=${use.replace(made.token, "hpa_…")} />
      <div class="dialog-foot"><button type="button" class="button primary" onClick=${onClose}>${t("action.done")}</button></div>
    <//>`;
  }
  return html`<${Dialog} title=${t("token.add")} onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      ${elsewhere(error)}
      <${NameField} value=${name} onChange=${setName} label=${t("token.name")} hint=${t("token.name_hint")} error=${error} />
      <${RoleField} role=${role} onChange=${setRole} />
      ${role !== "admin" && html`<${LabelsField} labels=${labels} onChange=${setLabels} error=${error} />`}
      <div class="field"><label for="token-ends">${t("token.ends")}</label>
        <select class="input" id="token-ends" value=${days} onChange=${(e) => setDays(e.target.value)}>
          ${ENDS_DAYS.map((n) => html`<option key=${n} value=${n}>${t("token.days", { n })}</option>`)}
          <option value="">${t("token.never")}</option>
        </select></div>
      <${Foot} onClose=${onClose} busy=${busy} ready=${Boolean(name.trim())} words=${t("token.add")} />
    </form>
  <//>`;
}
