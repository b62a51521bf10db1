// One rule, or a new one: the sentence, beside it what it would have raised, below it how it stands.
import { html, useEffect, useState } from "../vendor/preact.mjs";
import { api, mayAs } from "../core/api.mjs";
import { now } from "../core/format.mjs";
import { t } from "../core/i18n.mjs";
import { navigate, route } from "../core/router.mjs";
import { loadStyle } from "../core/styles.mjs";
import { Dialog } from "../ui/dialog.mjs";
import { Empty, Icon, Loading, Problem } from "../ui/elements.mjs";
import { Menu } from "../ui/menu.mjs";
import { showDialog } from "../ui/shell.mjs";
import { toast, toastError } from "../ui/toast.mjs";
import { muteItems, until } from "./alerts/mute.mjs";
import { AlertsFrame } from "./alerts/frame.mjs";
import { Severity } from "./alerts/marks.mjs";
import { conditionText } from "./alerts/words.mjs";
import { draftOf, isComplete, nameOf, newDraft, ruleOf } from "./rule/draft.mjs";
import { scopeFields, scopeText } from "./rule/scope.mjs";
import { Sentence } from "./rule/sentence.mjs";
import { Standings, usePolled } from "./rule/standings.mjs";
import { Trial } from "./rule/trial.mjs";

await loadStyle("css/device.css"); // its charts

const rulePath = (id, rest = "") => `/rules/${encodeURIComponent(id)}${rest}`;

function useChannels() {
  const [channels, setChannels] = useState([]);
  useEffect(() => void api("GET", "/channels").then((page) => setChannels(page.items), toastError), []);
  return channels;
}

function RemoveDialog({ rule, onClose }) {
  const remove = () =>
    api("DELETE", rulePath(rule.id)).then(() => {
      onClose();
      toast(t("rule.removed", { name: rule.name }));
      navigate("/alerts/rules");
    }, toastError);
  return html`<${Dialog} title=${t("rule.remove_title", { name: rule.name })} onClose=${onClose}>
    <p class="soft">${t("rule.remove_text")}</p>
    <div class="dialog-foot">
      <button type="button" class="button" onClick=${onClose}>${t("action.cancel")}</button>
      <button type="button" class="button primary danger" data-focus onClick=${remove}>${t("rule.remove")}</button>
    </div>
  <//>`;
}

function Actions({ rule }) {
  const muted = rule.muted_until > now.value;
  const mute = (for_s) => api("POST", rulePath(rule.id, "/mute"), { for_s }).catch(toastError);
  const items = [
    ...muteItems(muted, mute),
    "-",
    {
      label: t("rule.remove"),
      icon: "trash-2",
      danger: true,
      run: () => showDialog(() => RemoveDialog, { rule }),
    },
  ];
  return html`<${Menu} icon="ellipsis" label=${t("rule.actions")} items=${items} />`;
}

function Form({ rule }) {
  const query = route.value.query;
  const [draft, setDraft] = useState(() =>
    rule ? draftOf(rule) : newDraft(query.get("template"), query.get("scope")),
  );
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  const channels = useChannels();
  const change = (changes) => (setError(null), setDraft((before) => ({ ...before, ...changes })));

  async function submit(event) {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      const body = ruleOf(draft);
      const saved = rule ? await api("PATCH", rulePath(rule.id), body) : await api("POST", "/rules", body);
      toast(t(rule ? "rule.saved" : "rule.made", { name: saved.name }));
      navigate("/alerts/rules");
    } catch (problem) {
      setError(problem);
      setBusy(false);
    }
  }

  return html`<div class="rule-grid">
    <form class="card rule-form" onSubmit=${submit}>
      <div class="field">
        <label for="rule-name">${t("rule.name")}</label>
        <input class="input" id="rule-name" maxlength="128" autocomplete="off" value=${draft.name}
          placeholder=${isComplete(draft) ? nameOf(draft) : ""} aria-invalid=${error?.field === "name"}
          onInput=${(e) => change({ name: e.target.value })} />
      </div>
      <${Sentence} draft=${draft} change=${change} channels=${channels} wrong=${error?.field ?? null} />
      ${error && html`<${Problem} error=${error} />`}
      <div class="dialog-foot">
        <a class="button" href="/alerts/rules">${t("action.cancel")}</a>
        <button class="button primary" disabled=${busy || !isComplete(draft)}>${t(rule ? "action.save" : "rule.make")}</button>
      </div>
    </form>
    <${Trial} draft=${draft} />
  </div>`;
}

/** For those who may not change it: what it says. */
function Said({ rule }) {
  return html`<div class="card rule-form"><p class="rule-said">${conditionText(rule.sentence, scopeFields(rule.scope))} · ${scopeText(rule.scope)}</p>
    <p><${Severity} severity=${rule.severity} /></p></div>`;
}

function Existing({ id }) {
  const { answer: rule, error } = usePolled(rulePath(id));
  if (!rule) {
    return html`<${AlertsFrame} crumb=${id} title=${error ? t("rule.gone") : id}>${
      error?.status === 404
        ? html`<div class="card"><${Empty} icon="search" title=${t("rule.gone")}>
          <a class="button primary" href="/alerts/rules">${t("rule.to_all")}</a><//></div>`
        : error
          ? html`<${Problem} error=${error} />`
          : html`<${Loading} />`
    }<//>`;
  }
  return html`<${AlertsFrame} crumb=${rule.name} title=${rule.name}
    action=${mayAs("operator") && html`<${Actions} rule=${rule} />`}>
    ${rule.muted_until > now.value && html`<div class="notice muted"><${Icon} name="bell-off" /><span>${t("rules.muted", { at: until(rule.muted_until) })}</span></div>`}
    ${mayAs("operator") ? html`<${Form} rule=${rule} />` : html`<${Said} rule=${rule} />`}
    <section class="card standings" aria-labelledby="standings-title">
      <header class="card-head"><h2 id="standings-title">${t("standing.title")}</h2></header>
      <${Standings} rule=${rule} standings=${rule.standings} />
    </section>
  <//>`;
}

export default function RulePage({ params }) {
  if (params.id) return html`<${Existing} id=${params.id} />`;
  return html`<${AlertsFrame} crumb=${t("rules.add")} title=${t("rules.add")}>
    ${mayAs("operator") ? html`<${Form} />` : html`<p class="soft">${t("error.forbidden")}</p>`}
  <//>`;
}
