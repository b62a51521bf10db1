// The parts of the forms of people and tokens: a role, the labels that limit it, a new password.
import { html, useEffect, useState } from "../../vendor/preact.mjs";
import { deviceIds, deviceSignal, loadDevices } from "../../core/devices.mjs";
import { t } from "../../core/i18n.mjs";
import { Icon, PasswordInput } from "../../ui/elements.mjs";

export const ROLES = ["viewer", "operator", "admin"];
const MAX_SUGGESTED = 24;

/** One of the roles, each with what it may do. */
export function RoleField({ role, onChange }) {
  return html`<fieldset class="field roles"><legend class="label">${t("people.role")}</legend>
    ${ROLES.map(
      (each) => html`<label class="choice" key=${each}>
        <input type="radio" name="role" value=${each} checked=${each === role} onChange=${() => onChange(each)} />
        <span><strong>${t(`role.${each}`)}</strong><span class="hint">${t(`role.${each}_may`)}</span></span></label>`,
    )}
  </fieldset>`;
}

/** The labels that devices have, as `key:value`, those of most devices first. */
function useKnownLabels() {
  useEffect(() => void (deviceIds.peek() === null && loadDevices().catch(() => {})), []); // typing them does as well
  const counts = new Map();
  for (const id of deviceIds.value ?? []) {
    for (const [key, value] of Object.entries(deviceSignal(id).value?.labels ?? {})) {
      counts.set(`${key}:${value}`, (counts.get(`${key}:${value}`) ?? 0) + 1);
    }
  }
  return [...counts].sort((a, b) => b[1] - a[1]).map(([label]) => label);
}

/** The labels of the devices that somebody may see; none: all. An admin has no limit. */
export function LabelsField({ labels, onChange, error }) {
  const [typed, setTyped] = useState("");
  const known = useKnownLabels();
  const shown = [...new Set([...labels, ...known.slice(0, MAX_SUGGESTED)])];
  const toggle = (label) =>
    onChange(labels.includes(label) ? labels.filter((each) => each !== label) : [...labels, label]);
  function add() {
    const label = typed.trim().replace(/^([^:=]+)=/, "$1:");
    if (label && !labels.includes(label)) onChange([...labels, label]);
    setTyped("");
  }
  const onKeyDown = (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    add();
  };
  return html`<div class="field">
    <label for="limit-label">${t("people.labels")}</label>
    ${
      shown.length > 0 &&
      html`<span class="picks" role="group" aria-label=${t("people.labels")}>${shown.map(
        (label) => html`<button type="button" class="pick" key=${label} aria-pressed=${labels.includes(label)}
          onClick=${() => toggle(label)}>${label}</button>`,
      )}</span>`
    }
    <div class="row tight"><input class="input" id="limit-label" value=${typed} placeholder="site:north" maxlength="257"
        autocomplete="off" spellcheck=${false} aria-describedby="limit-hint" aria-invalid=${error?.field === "labels"}
        onKeyDown=${onKeyDown} onInput=${(e) => setTyped(e.target.value)} />
      <button type="button" class="button" disabled=${!typed.trim()} onClick=${add}><${Icon} name="plus" />
        ${t("people.add_label")}</button></div>
    <span id="limit-hint" class=${error?.field === "labels" ? "field-error" : "hint"}>
      ${error?.field === "labels" ? error.text : t(labels.length ? "people.labels_some" : "people.labels_none")}</span>
  </div>`;
}

/** A box for a new password. */
export function NewPasswordField({ value, onChange, label = t("people.password"), needed = true, error }) {
  const wrong = error?.field === "$.password" || error?.field === "$.new";
  return html`<div class="field">
    <label for="new-password">${label}</label>
    <${PasswordInput} id="new-password" value=${value} required=${needed} minlength="8" maxlength="256"
      autocomplete="new-password" aria-describedby="new-password-hint" aria-invalid=${Boolean(wrong)}
      onInput=${(e) => onChange(e.target.value)} />
    <span id="new-password-hint" class=${wrong ? "field-error" : "hint"}>${t("people.password_hint")}</span>
  </div>`;
}
