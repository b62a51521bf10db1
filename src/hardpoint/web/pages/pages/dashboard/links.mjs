// The links that share a dashboard: make one, see which there are, take one back.
import { html, useEffect, useState } from "../../vendor/preact.mjs";
import { api } from "../../core/api.mjs";
import { dashboardPath } from "../../core/dashboards.mjs";
import { absolute, now } from "../../core/format.mjs";
import { t } from "../../core/i18n.mjs";
import { Dialog } from "../../ui/dialog.mjs";
import { Code, Icon, IconButton, Problem } from "../../ui/elements.mjs";
import { QrCode } from "../../ui/qr.mjs";

const DAY_S = 86_400;
const LIFETIMES = { day: DAY_S, week: 7 * DAY_S, month: 30 * DAY_S, year: 365 * DAY_S, never: null };

const addressOf = (link) => `${location.origin}/shared#${link.secret}`;

function LinkRow({ link, onRemove }) {
  const over = link.expires !== null && link.expires <= now.value;
  return html`<li class="link-row"><span><strong>${link.name || t("share.unnamed")}</strong>
      <span class="hint">${t("share.made", { name: link.created_by, at: absolute(link.created) })} · ${
        link.expires === null
          ? t("share.no_end")
          : t(over ? "share.was_until" : "share.until", { at: absolute(link.expires) })
      }</span></span>
    <${IconButton} icon="trash-2" label=${t("share.remove", { name: link.name || link.id })} onClick=${onRemove} /></li>`;
}

export function LinksDialog({ board, onClose }) {
  const path = dashboardPath(board.id, "/links");
  const [links, setLinks] = useState(null);
  const [made, setMade] = useState(null);
  const [name, setName] = useState("");
  const [lifetime, setLifetime] = useState("month");
  const [error, setError] = useState(null);
  const load = () => api("GET", path).then((found) => setLinks(found.items), setError);
  useEffect(() => void load(), []);

  async function make(event) {
    event.preventDefault();
    setError(null);
    try {
      setMade(await api("POST", path, { name: name.trim(), expires_s: LIFETIMES[lifetime] }));
      setName("");
      await load();
    } catch (problem) {
      setError(problem);
    }
  }
  const remove = (link) =>
    api("DELETE", `${path}/${link.id}`).then(() => (made?.id === link.id && setMade(null), load()), setError);

  return html`<${Dialog} title=${t("share.title", { name: board.name })} wide onClose=${onClose}>
    <div class="stack">
      <p class="hint">${t("share.text")}</p>
      ${error && html`<${Problem} error=${error} />`}
      <form class="share-form" onSubmit=${make}>
        <div class="field"><label for="link-name">${t("share.name")}</label>
          <input class="input" id="link-name" data-focus maxlength="64" autocomplete="off" value=${name}
            placeholder=${t("share.name_example")} onInput=${(event) => setName(event.target.value)} /></div>
        <div class="field"><label for="link-life">${t("share.lifetime")}</label>
          <select class="input" id="link-life" value=${lifetime} onChange=${(event) => setLifetime(event.target.value)}>
            ${Object.keys(LIFETIMES).map((each) => html`<option value=${each}>${t(`share.life_${each}`)}</option>`)}
          </select></div>
        <button class="button primary"><${Icon} name="link" />${t("share.make")}</button>
      </form>
      ${
        made &&
        html`<div class="stack" role="status"><p>${t("share.once")}</p>
        <${Code} text=${addressOf(made)} /><${QrCode} text=${addressOf(made)} label=${t("share.qr", { name: board.name })} /></div>`
      }
      ${
        links?.length > 0 &&
        html`<ul class="link-rows">${links.map((link) => html`<${LinkRow} key=${link.id} link=${link}
        onRemove=${() => remove(link)} />`)}</ul>`
      }
      ${links?.length === 0 && html`<p class="hint">${t("share.none")}</p>`}
    </div>
  <//>`;
}
