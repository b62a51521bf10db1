// People: who may sign in, as what, and to see which devices.
import { html, useEffect, useState } from "../vendor/preact.mjs";
import { api, session } from "../core/api.mjs";
import { t } from "../core/i18n.mjs";
import { Ago, Icon, IconButton, Loading, Problem } from "../ui/elements.mjs";
import { showDialog } from "../ui/shell.mjs";
import { toast } from "../ui/toast.mjs";
import { PersonDialog } from "./people/forms.mjs";
import { ConfirmDialog, Limits, PeopleFrame, Role } from "./people/frame.mjs";

function Person({ person, onSaved, onRemoved }) {
  const { name, role, labels, disabled, sessions, used } = person;
  const own = name === session.value?.user?.name;
  const remove = () =>
    showDialog(() => ConfirmDialog, {
      title: t("people.remove", { name }),
      text: t("people.remove_text"),
      confirm: t("people.remove_confirm"),
      run: async () => {
        await api("DELETE", `/users/${encodeURIComponent(name)}`);
        onRemoved(name);
        toast(t("people.removed", { name }));
      },
    });
  return html`<li class="channel ${disabled ? "off" : ""}">
    <span class="avatar" aria-hidden="true"><${Icon} name="user" /></span>
    <div class="rule-main">
      <p class="name-line"><strong>${name}</strong>${own && html`<span class="hint">${t("people.you")}</span>`}</p>
      <p class="rule-facts hint"><${Role} role=${role} />
        ${disabled ? html`<span class="state failed">${t("people.is_disabled")}</span>` : html`<${Limits} labels=${labels} />`}
        ${used && html`<span>${t("people.sessions", { n: sessions })}</span><${Ago} ts=${used} />`}</p>
    </div>
    <span class="channel-acts">
      <${IconButton} icon="pencil" small label=${t("people.edit", { name })}
        onClick=${() => showDialog(() => PersonDialog, { person, onSaved })} />
      <${IconButton} icon="trash-2" small label=${t("people.remove", { name })} onClick=${remove} />
    </span>
  </li>`;
}

export default function PeoplePage() {
  const [items, setItems] = useState(null);
  const [error, setError] = useState(null);
  useEffect(() => void api("GET", "/users").then((page) => setItems(page.items), setError), []);
  const onSaved = (saved) =>
    setItems((before) =>
      [...before.filter(({ name }) => name !== saved.name), saved].sort((a, b) => a.name.localeCompare(b.name)),
    );
  const onRemoved = (name) => setItems((before) => before.filter((each) => each.name !== name));
  const add = html`<button type="button" class="button primary"
    onClick=${() => showDialog(() => PersonDialog, { onSaved })}><${Icon} name="plus" />${t("people.add")}</button>`;
  return html`<${PeopleFrame} action=${items && add}>
    ${error && html`<${Problem} error=${error} />`}
    ${
      items === null
        ? !error && html`<${Loading} />`
        : html`<ul class="card channels people">${items.map(
            (person) => html`<${Person} key=${person.name} person=${person} onSaved=${onSaved} onRemoved=${onRemoved} />`,
          )}</ul>`
    }
  <//>`;
}
