// Activity: who did what, on what, why, and how it ended.
import { html, useEffect, useState } from "../vendor/preact.mjs";
import { api, mayAs } from "../core/api.mjs";
import { deviceIds, deviceSignal, loadDevices } from "../core/devices.mjs";
import { absolute, clock, day } from "../core/format.mjs";
import { t } from "../core/i18n.mjs";
import { deviceHref, navigate, route } from "../core/router.mjs";
import { loadStyle } from "../core/styles.mjs";
import { Empty, Icon, Loading, Problem } from "../ui/elements.mjs";
import { Page } from "../ui/shell.mjs";
import { deedText, detailText, resultText } from "./activity/words.mjs";

await Promise.all([loadStyle("css/alerts.css"), loadStyle("css/people.css")]);

const PAGE = 50;
const MAX_EMPTY_PAGES = 20;
const FAMILIES = ["devices", "rules", "alerts", "channels", "dashboards", "users", "tokens", "session", "store"];
const VIA_ICONS = { rule: "bell", token: "key-round", unix: "server", provision: "radio" };

/** `{items, more, error, loadMore}`: the newest first; `items` is `null` until they are there. */
function useActivity(query) {
  const [state, setState] = useState({ items: null, cursor: null, error: null });
  async function load(from) {
    try {
      let page = { items: [], next_cursor: from };
      // What others may see only is left out by the server, and whole pages may be.
      for (let i = 0; i < MAX_EMPTY_PAGES && !page.items.length && (i === 0 || page.next_cursor); i += 1) {
        const cursor = page.next_cursor ? `&cursor=${page.next_cursor}` : "";
        page = await api("GET", `/audit?limit=${PAGE}${query}${cursor}`);
      }
      setState((before) => ({
        items: from ? [...before.items, ...page.items] : page.items,
        cursor: page.next_cursor,
        error: null,
      }));
    } catch (error) {
      setState((before) => ({ ...before, error }));
    }
  }
  useEffect(() => void (setState({ items: null, cursor: null, error: null }), load(null)), [query]);
  return { ...state, loadMore: () => load(state.cursor), reload: () => load(null) };
}

function Entry({ entry }) {
  const { at, who, via, address, what, device, subject, detail, why, result } = entry;
  const bad = result !== "done";
  const name = device && (deviceSignal(device).value?.name ?? device);
  const more = detailText(what, detail);
  return html`<li class="deed">
    <span class="avatar ${bad ? "bad" : ""}" aria-hidden="true"><${Icon} name=${VIA_ICONS[via] ?? "user"} /></span>
    <div class="rule-main">
      <p><strong>${who || t("activity.somebody")}</strong> ${deedText(what)}
        ${device ? html` <a href=${deviceHref(device)}>${name}</a>` : ""}
        ${subject && subject !== device && subject !== name ? html` <span class="soft">${subject}</span>` : ""}
        ${bad && html` <span class="state ${result === "begun" ? "pending" : "failed"}">${result === "begun" ? t("activity.begun") : resultText(result)}</span>`}</p>
      <p class="rule-facts hint">
        ${why && html`<span>${t("activity.because", { why })}</span>`}
        ${more && html`<span class="deed-detail">${more}</span>`}
        <span>${t(`activity.via_${via}`)}${address && ` · ${address}`}</span></p>
    </div>
    <time class="faint number" datetime=${new Date(at).toISOString()} title=${absolute(at)}>${clock(at, true)}</time>
  </li>`;
}

/** The entries under the day they happened on. */
function Days({ items }) {
  const days = Map.groupBy ? Map.groupBy(items, ({ at }) => day(at)) : grouped(items);
  return html`${[...days].map(
    ([name, entries]) => html`<section key=${name} aria-label=${name}>
      <h2 class="day-head">${name}</h2>
      <ul class="card deeds">${entries.map((entry) => html`<${Entry} key=${entry.id} entry=${entry} />`)}</ul>
    </section>`,
  )}`;
}

function grouped(items) {
  const days = new Map();
  for (const item of items) {
    const name = day(item.at);
    days.set(name, [...(days.get(name) ?? []), item]);
  }
  return days;
}

export default function ActivityPage() {
  const { query } = route.value;
  const what = query.get("what") ?? "";
  const who = query.get("who") ?? "";
  const filter = `${what && `&what=${encodeURIComponent(what)}`}${who && `&who=${encodeURIComponent(who)}`}`;
  const may = mayAs("operator");
  const { items, cursor, error, loadMore, reload } = useActivity(filter);
  useEffect(() => void (deviceIds.peek() === null && loadDevices().catch(() => {})), []); // ids say enough meanwhile
  useEffect(() => void (document.title = `${t("activity.title")} · Hardpoint`));
  const go = (changes) => {
    const next = new URLSearchParams(Object.entries({ what, who, ...changes }).filter(([, value]) => value));
    navigate(`/activity${next.size ? `?${next}` : ""}`, { replace: true });
  };
  if (!may) {
    return html`<${Page}><div class="page-head"><h1>${t("activity.title")}</h1></div>
      <div class="card"><${Empty} icon="activity" title=${t("people.denied_title")}><p>${t("activity.denied")}</p><//></div><//>`;
  }
  const families = mayAs("admin") ? FAMILIES : FAMILIES.slice(0, 5);
  return html`<${Page}>
    <div class="page-head"><h1>${t("activity.title")}</h1>
      <button type="button" class="button" onClick=${reload}><${Icon} name="refresh-cw" />${t("activity.reload")}</button></div>
    <div class="row filters">
      <select class="box" aria-label=${t("activity.kind")} value=${what} onChange=${(e) => go({ what: e.target.value })}>
        <option value="">${t("activity.all")}</option>
        ${families.map((name) => html`<option key=${name} value=${name}>${t(`activity.family_${name}`)}</option>`)}
      </select>
      <div class="search"><${Icon} name="search" /><input class="input" type="search" data-filter aria-label=${t("activity.who")}
        placeholder=${t("activity.who")} value=${who} onChange=${(e) => go({ who: e.target.value.trim() })} /></div>
    </div>
    ${error && html`<${Problem} error=${error} />`}
    ${
      items === null
        ? !error && html`<${Loading} />`
        : items.length
          ? html`<div class="stack"><${Days} items=${items} />
            ${cursor && html`<div class="list-foot"><button type="button" class="button small" onClick=${loadMore}>${t("history.more")}</button></div>`}</div>`
          : html`<div class="card"><${Empty} icon="activity" title=${t(filter ? "activity.none_match" : "activity.none")}>
            ${filter ? html`<button type="button" class="button" onClick=${() => go({ what: "", who: "" })}>${t("activity.clear")}</button>` : html`<p>${t("activity.none_text")}</p>`}<//></div>`
    }
  <//>`;
}
