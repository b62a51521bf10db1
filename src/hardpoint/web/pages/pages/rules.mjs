// The rules: what is waited for, where, and how many of their alerts fire. With none, three to begin from.
import { html, useEffect, useState } from "../vendor/preact.mjs";
import { api, mayAs } from "../core/api.mjs";
import { duration, now } from "../core/format.mjs";
import { t } from "../core/i18n.mjs";
import { onLive } from "../core/live.mjs";
import { Empty, Icon, Loading, Problem } from "../ui/elements.mjs";
import { toastError } from "../ui/toast.mjs";
import { AlertsFrame, NewRule } from "./alerts/frame.mjs";
import { until } from "./alerts/mute.mjs";
import { Severity } from "./alerts/marks.mjs";
import { conditionText } from "./alerts/words.mjs";
import { scopeFields, scopeText, shapedDevices } from "./rule/scope.mjs";

/** Rules to begin from, as the query of the form's address names them, and what they look like. */
const TEMPLATES = [
  ["hot", "thermometer"],
  ["silent", "unplug"],
  ["battery", "battery-low"],
];

function useRules() {
  const [rules, setRules] = useState(null);
  const [error, setError] = useState(null);
  useEffect(() => {
    const load = () => api("GET", "/rules").then((page) => (setRules(page.items), setError(null)), setError);
    load();
    const undo = [onLive("reset", load), onLive("alert", load)];
    return () => undo.forEach((each) => each());
  }, []);
  const replace = (rule) => setRules((before) => before.map((each) => (each.id === rule.id ? rule : each)));
  return { rules, error, replace };
}

function Rule({ rule, fields, onChange }) {
  const may = mayAs("operator");
  const toggle = () =>
    api("PATCH", `/rules/${encodeURIComponent(rule.id)}`, { enabled: !rule.enabled }).then(onChange, toastError);
  const told = rule.channels.length;
  return html`<li class="rule ${rule.enabled ? "" : "off"}">
    <div class="rule-main">
      <a class="rule-name" href="/alerts/rules/${encodeURIComponent(rule.id)}">${rule.name}</a>
      <p class="soft">${conditionText(rule.sentence, fields)}${
        rule.for_s > 0 &&
        html` ${t("rules.for", {
          time: duration(rule.for_s),
        })}`
      }</p>
      <p class="rule-facts hint">
        <${Severity} severity=${rule.severity} />
        <span>${scopeText(rule.scope)}</span>
        <span>${told ? t("rules.tells", { n: told }) : t("rules.tells_nobody")}</span>
        ${rule.muted_until > now.value && html`<span><${Icon} name="bell-off" />${t("rules.muted", { at: until(rule.muted_until) })}</span>`}
      </p>
    </div>
    ${rule.firing > 0 && html`<span class="state firing">${t("rules.firing", { n: rule.firing })}</span>`}
    ${
      may
        ? html`<button type="button" class="switch" role="switch" aria-checked=${rule.enabled}
          aria-label=${t("rules.enabled", { name: rule.name })} onClick=${toggle}><i></i></button>`
        : !rule.enabled && html`<span class="state">${t("rules.off")}</span>`
    }
  </li>`;
}

function Templates() {
  const may = mayAs("operator");
  return html`<div class="card"><${Empty} icon="bell" title=${t("rules.none_title")}>
    <p>${t(may ? "rules.none_text" : "rules.none_may")}</p>
    ${
      may &&
      html`<ul class="templates">${TEMPLATES.map(
        ([name, icon]) => html`<li key=${name}><a class="template" href="/alerts/new-rule?template=${name}">
          <${Icon} name=${icon} /><strong>${t(`template.${name}`)}</strong><span>${t(`template.${name}_text`)}</span>
        </a></li>`,
      )}</ul>
      <a href="/alerts/new-rule">${t("rules.blank")}</a>`
    }
  <//></div>`;
}

export default function RulesPage() {
  const { rules, error, replace } = useRules();
  const shaped = shapedDevices();
  return html`<${AlertsFrame} action=${rules?.length > 0 && html`<${NewRule} />`}>
    ${error && html`<${Problem} error=${error} />`}
    ${
      rules === null
        ? !error && html`<${Loading} />`
        : rules.length
          ? html`<ul class="card rules">${rules.map(
              (rule) => html`<${Rule} key=${rule.id} rule=${rule}
            fields=${scopeFields(rule.scope, shaped)} onChange=${replace} />`,
            )}</ul>`
          : html`<${Templates} />`
    }
  <//>`;
}
