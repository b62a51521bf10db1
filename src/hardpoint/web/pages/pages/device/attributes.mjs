// Attributes: what a device says of itself, what it is told, and what only people here know of it.
import { html, useEffect, useState } from "../../vendor/preact.mjs";
import { api, devicePath, mayAs } from "../../core/api.mjs";
import { t } from "../../core/i18n.mjs";
import { onLive } from "../../core/live.mjs";
import { Icon, IconButton, Problem } from "../../ui/elements.mjs";
import { scalar } from "./commands.mjs";

const LOOK_EVERY_MS = 5_000;
const SCOPES = ["client", "shared", "server"];

const shown = (value) => (typeof value === "string" ? value : JSON.stringify(value));

function Editor({ name = "", value = "", onSave, onCancel }) {
  const [key, setKey] = useState(name);
  const [text, setText] = useState(value === "" ? "" : shown(value));
  const submit = (event) => (event.preventDefault(), onSave(key.trim(), scalar(text)));
  return html`<form class="attribute-form" onSubmit=${submit}
    onKeyDown=${(event) => event.key === "Escape" && ((event.stopPropagation(), onCancel()))}>
    <input class="input mono" required maxlength="64" readonly=${Boolean(name)} autocomplete="off" spellcheck=${false}
      aria-label=${t("attribute.key")} placeholder=${t("attribute.key")} value=${key}
        onInput=${(e) => setKey(e.target.value)} />
    <input class="input mono" autocomplete="off" spellcheck=${false} aria-label=${t("attribute.value")}
      placeholder=${t("attribute.value")} value=${text} onInput=${(e) => setText(e.target.value)} />
    <${IconButton} icon="check" label=${t("action.save")} type="submit" />
    <${IconButton} icon="x" label=${t("action.cancel")} onClick=${onCancel} />
  </form>`;
}

/** `{values, error, save}` of one scope; `save` merges, and `null` removes a key. */
function useAttributes(id, scope) {
  const [values, setValues] = useState(null);
  const [error, setError] = useState(null);
  const path = devicePath(id, `/attributes?scope=${scope}`);
  useEffect(() => {
    let current = true;
    const load = () =>
      api("GET", path).then(
        (found) => current && (setValues(found), setError(null)),
        (problem) => current && setError(problem),
      );
    setValues(null);
    load();
    const undo = onLive("reset", load);
    return () => ((current = false), undo());
  }, [path]);
  async function save(changes) {
    try {
      await api("PUT", path, changes);
      setValues(await api("GET", path));
      setError(null);
    } catch (problem) {
      setError(problem);
    }
  }
  return { values, error, save };
}

/** What of the shared attributes the device has reported back, by key; follows `values`. */
function useDesired(id, scope, values) {
  const [desired, setDesired] = useState({});
  useEffect(() => {
    let current = true;
    const load = () =>
      api("GET", devicePath(id, "/desired")).then(
        (found) => current && setDesired(found),
        () => {}, // the list beside it says what is wrong
      );
    if (scope !== "shared" || !values) return undefined;
    load();
    // The device's answer has no event of its own: it is looked for while somebody looks.
    const timer = setInterval(load, LOOK_EVERY_MS);
    return () => ((current = false), clearInterval(timer));
  }, [id, scope, values]);
  return scope === "shared" ? desired : {};
}

/** Whether the device does what is wanted of it. */
function Reported({ wanted }) {
  if (!wanted) return null;
  const none = wanted.reported === null;
  return html`<dd class="reported ${wanted.met ? "met" : ""}"><${Icon} name=${wanted.met ? "check" : "activity"} />
    ${wanted.met ? t("attribute.met") : none ? t("attribute.unreported") : t("attribute.unmet", {
      value: shown(wanted.reported),
    })}</dd>`;
}

/** One scope at a time; what the device writes can only be read. */
export function Attributes({ id }) {
  const [scope, setScope] = useState("client");
  const [editing, setEditing] = useState(null); // a key, "" for a new one, null for none
  const { values, error, save } = useAttributes(id, scope);
  const desired = useDesired(id, scope, values);
  const mayEdit = scope !== "client" && mayAs("operator");
  const choose = (next) => (setScope(next), setEditing(null));
  const store = (key, value) => (setEditing(null), save({ [key]: value }));
  const rows = Object.entries(values ?? {}).sort(([a], [b]) => a.localeCompare(b));
  const editor = (name, value) =>
    html`<${Editor} key=${name} name=${name} value=${value} onSave=${store} onCancel=${() => setEditing(null)} />`;

  return html`<section class="card" aria-labelledby="attributes-title">
    <header class="card-head">
      <h2 id="attributes-title">${t("attribute.title")}</h2>
      ${mayEdit && html`<${IconButton} icon="plus" small label=${t("attribute.add")}
        onClick=${() => setEditing("")} />`}
    </header>
    <div class="card-body">
      <div class="segments fill" role="group" aria-label=${t("attribute.scope")}>
        ${SCOPES.map((each) => html`<button type="button" key=${each} aria-pressed=${scope === each}
          title=${t(`attribute.${each}_hint`)} onClick=${() => choose(each)}>${t(`attribute.${each}`)}</button>`)}
      </div>
      ${error && html`<${Problem} error=${error} />`}
      ${editing === "" && editor("", "")}
      <dl class="pairs">
        ${rows.map(([key, value]) =>
          editing === key
            ? html`<div key=${key}><dt class="visually-hidden">${key}</dt><dd>${editor(key, value)}</dd></div>`
            : html`<div key=${key}>
          <dt title=${key}>${key}</dt><dd title=${shown(value)}>${shown(value)}</dd>
          <${Reported} wanted=${desired[key]} />
          ${
            mayEdit &&
            html`<dd class="pair-actions">
            <${IconButton} icon="pencil" small label=${t("attribute.edit", { key })} onClick=${() => setEditing(key)} />
            <${IconButton} icon="trash-2" small label=${t("attribute.remove", { key })}
              onClick=${() => save({ [key]: null })} />
          </dd>`
          }
        </div>`,
        )}
      </dl>
      ${values && !rows.length && editing === null && html`<p class="hint">${t(`attribute.${scope}_none`)}</p>`}
      ${!values && !error && html`<${Icon} name="refresh-cw" spin />`}
    </div>
  </section>`;
}
