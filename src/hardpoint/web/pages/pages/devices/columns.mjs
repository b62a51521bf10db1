// Which columns the list has: ours, and any reading or label that some device has.
import { html, useState } from "../../vendor/preact.mjs";
import { deviceIds, deviceSignal } from "../../core/devices.mjs";
import { t } from "../../core/i18n.mjs";
import { Dialog } from "../../ui/dialog.mjs";
import { chooseColumns, COLUMNS, columns, columnTitle, MOST_COLUMNS } from "./table.mjs";

/** A list of thousands has a handful of kinds of devices: the first ones tell. */
const LOOKED_AT = 500;
const MOST_OFFERED = 60;

/** `[keys, labels]` that devices have, those of most devices first. */
function offered() {
  const [keys, labels] = [new Map(), new Map()];
  const count = (found, name) => found.set(name, (found.get(name) ?? 0) + 1);
  for (const id of (deviceIds.peek() ?? []).slice(0, LOOKED_AT)) {
    const device = deviceSignal(id).peek();
    Object.keys(device?.latest ?? {}).forEach((key) => count(keys, key));
    Object.keys(device?.labels ?? {}).forEach((key) => count(labels, key));
  }
  return [keys, labels].map((found) =>
    [...found]
      .sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]))
      .slice(0, MOST_OFFERED)
      .map(([name]) => name),
  );
}

export function ColumnsDialog({ onClose }) {
  const [[keys, labels]] = useState(offered);
  const shown = columns();
  const groups = [
    ["columns.ours", COLUMNS],
    ["columns.readings", keys.map((key) => `key:${key}`)],
    ["columns.labels", labels.map((label) => `label:${label}`)],
  ];
  const toggle = (name) =>
    chooseColumns(shown.includes(name) ? shown.filter((each) => each !== name) : [...shown, name]);
  return html`<${Dialog} title=${t("devices.columns")} onClose=${onClose}>
    <p class="hint">${t("columns.text", { n: MOST_COLUMNS })}</p>
    ${groups
      .filter(([, names]) => names.length)
      .map(
        ([title, names]) => html`<fieldset class="choices" key=${title}><legend>${t(title)}</legend>
        ${names.map((name) => {
          const on = shown.includes(name);
          return html`<label class="choice" key=${name}><input type="checkbox" checked=${on}
            disabled=${!on && shown.length >= MOST_COLUMNS} onChange=${() => toggle(name)} />${columnTitle(name)}
          </label>`;
        })}
      </fieldset>`,
      )}
    <div class="dialog-foot">
      <button type="button" class="button" onClick=${() => chooseColumns(null)}>${t("columns.usual")}</button>
      <button type="button" class="button primary" onClick=${onClose}>${t("action.done")}</button>
    </div>
  <//>`;
}
