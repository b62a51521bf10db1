// The list of keys.
import { html } from "../vendor/preact.mjs";
import { t } from "../core/i18n.mjs";
import { Dialog } from "./dialog.mjs";

const KEYS = [
  [["Ctrl", "K"], "shortcut.palette"],
  [["/"], "shortcut.filter"],
  [["g", "h"], "shortcut.home"],
  [["g", "d"], "shortcut.devices"],
  [["g", "b"], "shortcut.dashboards"],
  [["g", "a"], "shortcut.alerts"],
  [["g", "r"], "shortcut.rules"],
  [["g", "s"], "shortcut.system"],
  [["n"], "shortcut.add"],
  [["j", "k"], "shortcut.rows"],
  [["x"], "shortcut.select"],
  [["l"], "shortcut.live"],
  [["[", "]"], "shortcut.shift"],
  [["−", "+"], "shortcut.zoom"],
  [["0"], "shortcut.reset"],
  [["."], "shortcut.actions"],
  [["?"], "shortcut.help"],
  [["Esc"], "shortcut.close"],
];

/** What can be done without a mouse. */
export function ShortcutsDialog({ onClose }) {
  return html`<${Dialog} title=${t("menu.shortcuts")} onClose=${onClose}>
    <dl class="shortcuts">
      ${KEYS.map(
        ([keys, text]) => html`<div><dt>${t(text)}</dt><dd>${keys.map((key) => html`<kbd>${key}</kbd> `)}</dd>
      </div>`,
      )}
    </dl>
  <//>`;
}
