// The rules that look at this device, and why each of them did or did not fire.
import { html } from "../../vendor/preact.mjs";
import { devicePath, mayAs } from "../../core/api.mjs";
import { absolute } from "../../core/format.mjs";
import { t } from "../../core/i18n.mjs";
import { navigate } from "../../core/router.mjs";
import { IconButton, Problem } from "../../ui/elements.mjs";
import { State } from "../alerts/marks.mjs";
import { usePolled, whyText } from "../rule/standings.mjs";

export function Rules({ id }) {
  const { answer, error } = usePolled(devicePath(id, "/rules"));
  const add = () => navigate(`/alerts/new-rule?scope=${encodeURIComponent(`device:${id}`)}`);
  return html`<section class="card" aria-labelledby="rules-title">
    <header class="card-head"><h2 id="rules-title">${t("device.rules")}</h2>
      ${mayAs("operator") && html`<${IconButton} icon="plus" small label=${t("device.rules_add")} onClick=${add} />`}
    </header>
    ${error && html`<div class="card-body"><${Problem} error=${error} /></div>`}
    ${answer?.items.length === 0 && html`<p class="card-note">${t("device.rules_none")}</p>`}
    ${
      answer?.items.length > 0 &&
      html`<ul class="facts-list narrow">${answer.items.map(
        (one) => html`<li key=${one.rule}>
          <a class="fact-name" href="/alerts/rules/${encodeURIComponent(one.rule)}">${one.name}</a>
          <${State} state=${one.state} />
          <span class="soft fact-why" title=${one.ts && absolute(one.ts)}>${whyText(one)}</span>
        </li>`,
      )}</ul>`
    }
  </section>`;
}
