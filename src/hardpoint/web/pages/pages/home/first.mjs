// Nothing is there yet: how one begins.
import { html } from "../../vendor/preact.mjs";
import { mayAs } from "../../core/api.mjs";
import { t } from "../../core/i18n.mjs";
import { loadStyle } from "../../core/styles.mjs";
import { Icon } from "../../ui/elements.mjs";

await loadStyle("css/home_later.css");

export function First({ addDevice }) {
  const may = mayAs("operator");
  return html`<section class="card home-first">
    <span class="empty-mark"><${Icon} name="cpu" /></span>
    <h1>${t("home.first_title")}</h1>
    <p class="soft">${t(may ? "home.first_text" : "home.first_viewer")}</p>
    ${
      may &&
      html`<ol class="home-steps">${["name", "paste", "watch"].map(
        (step) => html`<li key=${step}><strong>${t(`home.step_${step}`)}</strong>
          <span class="hint">${t(`home.step_${step}_text`)}</span></li>`,
      )}</ol>
      <button type="button" class="button primary" onClick=${addDevice}><${Icon} name="plus" />${t("devices.add")}</button>`
    }
  </section>`;
}
