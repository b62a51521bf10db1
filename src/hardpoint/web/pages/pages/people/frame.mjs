// What stands around the pages about people: the heading, the way to the other ones, and a question before an end.
import { html, useEffect, useState } from "../../vendor/preact.mjs";
import { mayAs } from "../../core/api.mjs";
import { t } from "../../core/i18n.mjs";
import { route } from "../../core/router.mjs";
import { loadStyle } from "../../core/styles.mjs";
import { Dialog } from "../../ui/dialog.mjs";
import { Empty, Problem } from "../../ui/elements.mjs";
import { Page } from "../../ui/shell.mjs";

await Promise.all([loadStyle("css/alerts.css"), loadStyle("css/people.css")]);

const TABS = [
  ["people", "/people"],
  ["tokens", "/people/tokens"],
  ["sessions", "/people/sessions"],
];

/** `children` below the tabs, for an admin; others are told who can help. `action` is beside the heading. */
export function PeopleFrame({ action, children }) {
  const here = route.value.name;
  const title = t(`people.tab_${here}`);
  useEffect(() => void (document.title = `${title} · Hardpoint`), [title]);
  const may = mayAs("admin");
  return html`<${Page}>
    <div class="page-head"><h1>${t("people.title")}</h1>${may && action}</div>
    ${
      may
        ? html`<div class="chips-scroll tabs"><nav class="segments" aria-label=${t("people.title")}>
            ${TABS.map(
              ([name, href]) => html`<a key=${name} href=${href} aria-current=${name === here ? "page" : undefined}>
              ${t(`people.tab_${name}`)}</a>`,
            )}
          </nav></div>${children}`
        : html`<div class="card"><${Empty} icon="key-round" title=${t("people.denied_title")}>
            <p>${t("people.denied_text")}</p><//></div>`
    }
  <//>`;
}

/** A role, told by a word. */
export const Role = ({ role }) => html`<span class="role ${role}">${t(`role.${role}`)}</span>`;

/** The labels somebody is limited to, or that there is no limit. */
export function Limits({ labels }) {
  if (!labels.length) return html`<span>${t("people.all_devices")}</span>`;
  return html`${labels.map((label) => html`<span class="chip" key=${label}>${label}</span>`)}`;
}

/** Ask before something is done that cannot be undone; `run` does it, and its refusal is shown here. */
export function ConfirmDialog({ title, text, confirm, run, onClose }) {
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  async function go() {
    setBusy(true);
    try {
      await run();
      onClose();
    } catch (problem) {
      setError(problem);
      setBusy(false);
    }
  }
  return html`<${Dialog} title=${title} onClose=${onClose}>
    <p>${text}</p>
    ${error && html`<${Problem} error=${error} />`}
    <div class="dialog-foot">
      <button type="button" class="button" data-focus onClick=${onClose}>${t("action.cancel")}</button>
      <button type="button" class="button danger primary" disabled=${busy} onClick=${go}>${confirm}</button>
    </div>
  <//>`;
}
