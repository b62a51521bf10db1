// API tokens: the keys of programs, shown once when they are made.
import { html, useEffect, useState } from "../vendor/preact.mjs";
import { api } from "../core/api.mjs";
import { absolute, day, now } from "../core/format.mjs";
import { t } from "../core/i18n.mjs";
import { Ago, Empty, Icon, IconButton, Loading, Problem } from "../ui/elements.mjs";
import { showDialog } from "../ui/shell.mjs";
import { toast } from "../ui/toast.mjs";
import { TokenDialog } from "./people/forms.mjs";
import { ConfirmDialog, Limits, PeopleFrame, Role } from "./people/frame.mjs";

function Token({ token, onRemoved }) {
  const { id, name, role, labels, prefix, created, expires, made_by, used, used_from } = token;
  const over = expires !== null && expires <= now.value;
  const remove = () =>
    showDialog(() => ConfirmDialog, {
      title: t("token.remove", { name }),
      text: t("token.remove_text"),
      confirm: t("token.remove_confirm"),
      run: async () => {
        await api("DELETE", `/tokens/${encodeURIComponent(id)}`);
        onRemoved(id);
        toast(t("token.removed", { name }));
      },
    });
  return html`<li class="channel ${over ? "off" : ""}">
    <span class="avatar" aria-hidden="true"><${Icon} name="key-round" /></span>
    <div class="rule-main">
      <p class="name-line"><strong>${name}</strong><code class="faint">${prefix}…</code></p>
      <p class="rule-facts hint"><${Role} role=${role} /><${Limits} labels=${labels} />
        <span title=${absolute(created)}>${t(made_by ? "token.made_by" : "token.made_on", { who: made_by, at: day(created) })}</span>
        ${
          over
            ? html`<span class="state failed">${t("token.over")}</span>`
            : html`<span title=${expires && absolute(expires)}>${expires ? t("token.until", { at: day(expires) }) : t("token.never")}</span>`
        }
        <span>${used ? html`${t("token.used")} <${Ago} ts=${used} />${used_from && ` · ${used_from}`}` : t("token.unused")}</span></p>
    </div>
    <${IconButton} icon="trash-2" small label=${t("token.remove", { name })} onClick=${remove} />
  </li>`;
}

export default function TokensPage() {
  const [items, setItems] = useState(null);
  const [error, setError] = useState(null);
  const load = () => api("GET", "/tokens").then((page) => setItems(page.items), setError);
  useEffect(() => void load(), []);
  const onRemoved = (id) => setItems((before) => before.filter((each) => each.id !== id));
  const add = html`<button type="button" class="button primary"
    onClick=${() => showDialog(() => TokenDialog, { onMade: load })}><${Icon} name="plus" />${t("token.add")}</button>`;
  return html`<${PeopleFrame} action=${items?.length > 0 && add}>
    ${error && html`<${Problem} error=${error} />`}
    ${
      items === null
        ? !error && html`<${Loading} />`
        : items.length
          ? html`<ul class="card channels people">${items.map(
              (token) => html`<${Token} key=${token.id} token=${token} onRemoved=${onRemoved} />`,
            )}</ul>`
          : html`<div class="card"><${Empty} icon="key-round" title=${t("token.none_title")}>
            <p>${t("token.none_text")}</p>${add}<//></div>`
    }
  <//>`;
}
