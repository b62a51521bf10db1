// An address that is none.
import { html } from "../vendor/preact.mjs";
import { t } from "../core/i18n.mjs";
import { Empty } from "../ui/elements.mjs";
import { Page } from "../ui/shell.mjs";

export default function MissingPage() {
  return html`<${Page} crumb=${t("missing.title")}>
    <${Empty} icon="search" heading="h1" title=${t("missing.heading")}><p>${t("missing.text")}</p>
      <a class="button primary" href="/devices">${t("missing.action")}</a><//>
  <//>`;
}
