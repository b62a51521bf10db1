// What can be written into the filter, with examples that a click writes there.
import { html } from "../../vendor/preact.mjs";
import { shownUnit } from "../../core/format.mjs";
import { t } from "../../core/i18n.mjs";
import { setQuery } from "../../core/router.mjs";
import { Dialog } from "../../ui/dialog.mjs";

const EXAMPLES = {
  word: "pump",
  presence: "is:late,offline",
  label: "site:roof",
  key: "hum>60",
  unit: "temp>86°F",
  seen: "seen>2h",
  name: "name~pump",
  over: "over:mqtt",
  not: "-is:online",
};

export function FilterHelp({ onClose }) {
  const use = (example) => (setQuery({ q: example }), onClose());
  return html`<${Dialog} title=${t("filter.help")} onClose=${onClose}>
    <p>${t("filter.help_text")}</p>
    <dl class="filter-examples">${Object.entries(EXAMPLES).map(
      ([name, example]) => html`<div key=${name}>
        <dt><button type="button" class="chip mono" onClick=${() => use(example)}>${example}</button></dt>
        <dd>${t(`filter.about_${name}`, { unit: shownUnit("°C") })}</dd></div>`,
    )}</dl>
  <//>`;
}
