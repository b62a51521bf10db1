// A list of sessions of browsers, each with a way to end it.
import { html } from "../../vendor/preact.mjs";
import { absolute } from "../../core/format.mjs";
import { t } from "../../core/i18n.mjs";
import { Ago, Icon } from "../../ui/elements.mjs";

// The first that is in a User-Agent wins: Edge says Chrome too, and Chrome says Safari.
const BROWSERS = ["Edg", "OPR", "Firefox", "Chrome", "Safari", "curl"];
const BROWSER_NAMES = { Edg: "Edge", OPR: "Opera" };
const SYSTEMS = ["Android", "iPhone", "iPad", "Windows", "Mac OS", "Linux"];

/** What a User-Agent says in two words: `Firefox · Linux`. */
export function agentText(agent) {
  const browser = BROWSERS.find((each) => agent.includes(each));
  const system = SYSTEMS.find((each) => agent.includes(each));
  return [browser && (BROWSER_NAMES[browser] ?? browser), system].filter(Boolean).join(" · ") || agent.slice(0, 60);
}

/** `items` as the API lists them; with `people` each says whose it is. */
export function Sessions({ items, people = false, onEnd }) {
  return html`<ul class="card channels people">${items.map(
    (entry) => html`<li class="channel" key=${entry.id}>
      <span class="avatar" aria-hidden="true"><${Icon} name="monitor" /></span>
      <div class="rule-main">
        <p class="name-line"><strong>${people ? entry.user : agentText(entry.agent) || t("session.unknown")}</strong>
          ${entry.current && html`<span class="state normal">${t("session.this")}</span>`}</p>
        <p class="rule-facts hint" title=${entry.agent}>
          ${people && html`<span>${agentText(entry.agent) || t("session.unknown")}</span>`}
          ${entry.address && html`<span>${entry.address}</span>`}
          <span title=${absolute(entry.created)}>${t("session.since")} <${Ago} ts=${entry.created} /></span>
          <span>${t("session.used")} <${Ago} ts=${entry.used} /></span></p></div>
      ${
        !entry.current &&
        html`<button type="button" class="button small" onClick=${() => onEnd(entry)}
        aria-label=${t("session.end_of", { name: people ? entry.user : agentText(entry.agent) })}>${t("session.end")}</button>`
      }
    </li>`,
  )}</ul>`;
}
