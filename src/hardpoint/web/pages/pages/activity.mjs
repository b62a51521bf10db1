// Activity: who did what, on what, why, and how it ended.
import { html, useEffect, useId, useMemo, useState } from "../vendor/preact.mjs";
import { api, mayAs } from "../core/api.mjs";
import { deviceIds, deviceSignal, loadDevices } from "../core/devices.mjs";
import { absolute, clock, day, now } from "../core/format.mjs";
import { t } from "../core/i18n.mjs";
import { onLive } from "../core/live.mjs";
import { deviceHref, navigate, route } from "../core/router.mjs";
import { loadStyle } from "../core/styles.mjs";
import { Empty, Icon, Loading, Problem } from "../ui/elements.mjs";
import { Page } from "../ui/shell.mjs";
import { deedText, detailText, resultText, subjectHref, subjectName } from "./activity/words.mjs";

await Promise.all(["css/alerts.css", "css/people.css", "css/device.css"].map(loadStyle));

const PAGE = 50;
const MAX_EMPTY_PAGES = 20;
/** A script does many things at once: they are asked for together. */
const SOON_MS = 300;
const MOST_NAMES = 200;
const FAMILIES = ["devices", "rules", "alerts", "channels", "dashboards", "packages", "users", "tokens", "session", "store"];
const VIA_ICONS = { rule: "bell", token: "key-round", unix: "server", provision: "radio" };

/**
 * `items` with a page of the newest in front, each entry as it is now. Where the page is full and does not reach what is
 * known, something lies between: the page alone then.
 */
export function withNewest(items, page) {
  const oldest = page.at(-1)?.id ?? Infinity;
  if (page.length >= PAGE && oldest > (items[0]?.id ?? 0)) return page;
  const fresh = new Set(page.map((entry) => entry.id));
  return [...page, ...items.filter((entry) => !fresh.has(entry.id))];
}

/** Entries from a cursor on; a page of them may be empty where all is left out that others may see only. */
async function fetchEntries(query, cursor) {
  let page = { items: [], next_cursor: cursor };
  for (let i = 0; i < MAX_EMPTY_PAGES && !page.items.length && (i === 0 || page.next_cursor); i += 1) {
    const from = page.next_cursor ? `&cursor=${page.next_cursor}` : "";
    page = await api("GET", `/audit?limit=${PAGE}${query}${from}`);
  }
  return page;
}

/** `{items, cursor, error, newest, loadMore}`: the newest first, kept as they come; `items` is `null` until they are there, and
 * what has a greater id than `newest` came since then. */
function useActivity(query) {
  const [state, setState] = useState({ items: null, cursor: null, error: null, newest: 0 });
  const fail = (error) => setState((before) => ({ ...before, error }));
  useEffect(() => {
    let [current, timer] = [true, null];
    const show = (next) => current && setState(next);
    const load = () =>
      fetchEntries(query, null).then(
        ({ items, next_cursor: cursor }) => show({ items, cursor, error: null, newest: items[0]?.id ?? 0 }),
        (error) => current && fail(error),
      );
    async function follow() {
      timer = null;
      try {
        const page = await fetchEntries(query, null);
        show((before) => {
          const items = withNewest(before.items ?? [], page.items);
          return { ...before, items, cursor: items === page.items ? page.next_cursor : before.cursor, error: null };
        });
      } catch (error) {
        if (current) fail(error);
      }
    }
    setState({ items: null, cursor: null, error: null, newest: 0 });
    load();
    const undo = [onLive("audit", () => (timer ??= setTimeout(follow, SOON_MS))), onLive("reset", load)];
    return () => ((current = false), clearTimeout(timer), undo.forEach((each) => each()));
  }, [query]);
  const loadMore = () =>
    fetchEntries(query, state.cursor).then(
      (page) => setState((before) => ({ ...before, items: [...before.items, ...page.items], cursor: page.next_cursor })),
      fail,
    );
  return { ...state, loadMore };
}

function Entry({ entry, fresh }) {
  const { at, who, via, address, what, device, subject, detail, why, result } = entry;
  const bad = result !== "done";
  const name = device && (deviceSignal(device).value?.name ?? device);
  const more = detailText(what, detail);
  const [title, href] = [device ? subject : subjectName(entry), subjectHref(entry)];
  return html`<li class="deed ${fresh ? "fresh" : ""}">
    <span class="avatar ${bad ? "bad" : ""}" aria-hidden="true"><${Icon} name=${VIA_ICONS[via] ?? "user"} /></span>
    <div class="rule-main">
      <p>${who ? html`<a class="deed-who" href="/activity?who=${encodeURIComponent(who)}">${who}</a>` : html`<strong>${t("activity.somebody")}</strong>`} ${deedText(what, detail)}
        ${device ? html` <a href=${deviceHref(device)}>${name}</a>` : ""}
        ${
          title && subject !== device && title !== name && title !== device
            ? html` ${href ? html`<a href=${href}>${title}</a>` : html`<span class="soft">${title}</span>`}`
            : ""
        }
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
function Days({ items, newest }) {
  const days = Map.groupBy ? Map.groupBy(items, ({ at }) => day(at)) : grouped(items);
  return html`${[...days].map(
    ([name, entries]) => html`<section key=${name} aria-label=${name}>
      <h2 class="day-head">${name}</h2>
      <ul class="card deeds">${entries.map((entry) => html`<${Entry} key=${entry.id} entry=${entry} fresh=${entry.id > newest} />`)}</ul>
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

/** What narrows the list; each is in the address, so that what one sees can be shared. */
function Filters({ what, who, device, go }) {
  const listId = useId();
  const families = mayAs("admin") ? FAMILIES : FAMILIES.slice(0, 6);
  const names = (deviceIds.value ?? []).slice(0, MOST_NAMES).map((id) => deviceSignal(id).value?.name ?? id);
  const box = (name, label, value, icon, list) => html`<div class="search"><${Icon} name=${icon} /><input class="input" type="search"
    data-filter=${name === "who" ? true : undefined} aria-label=${label} placeholder=${label}
    autocomplete="off" spellcheck=${false} list=${list} value=${value} onChange=${(e) => go({ [name]: e.target.value.trim() })} /></div>`;
  return html`<div class="row filters">
    <select class="box" aria-label=${t("activity.kind")} value=${what} onChange=${(e) => go({ what: e.target.value })}>
      <option value="">${t("activity.all")}</option>
      ${families.map((name) => html`<option key=${name} value=${name}>${t(`activity.family_${name}`)}</option>`)}
    </select>
    ${box("who", t("activity.who"), who, "user")}${box("device", t("activity.device"), device, "cpu", listId)}
    <datalist id=${listId}>${names.map((name) => html`<option value=${name} />`)}</datalist>
  </div>`;
}

export default function ActivityPage() {
  const { query } = route.value;
  const [what, who, device] = ["what", "who", "device"].map((name) => query.get(name) ?? "");
  const asked = new URLSearchParams(Object.entries({ what, who, device }).filter(([, value]) => value)).toString();
  const may = mayAs("operator");
  const { items, cursor, error, newest, loadMore } = useActivity(asked && `&${asked}`);
  useEffect(() => void (deviceIds.peek() === null && loadDevices().catch(() => {})), []); // ids say enough meanwhile
  useEffect(() => void (document.title = `${t("activity.title")} · Hardpoint`));
  // Read out at most every five seconds, however much happens.
  const since = useMemo(() => items?.filter((entry) => entry.id > newest).length, [now.value, newest]);
  const go = (changes) => {
    const next = new URLSearchParams(Object.entries({ what, who, device, ...changes }).filter(([, value]) => value));
    navigate(`/activity${next.size ? `?${next}` : ""}`, { replace: true });
  };
  if (!may) {
    return html`<${Page}><div class="page-head"><h1>${t("activity.title")}</h1></div>
      <div class="card"><${Empty} icon="activity" title=${t("people.denied_title")}><p>${t("activity.denied")}</p><//></div><//>`;
  }
  return html`<${Page}>
    <div class="page-head"><h1>${t("activity.title")}</h1><span class="live-mark"><i></i>${t("charts.live")}</span></div>
    <${Filters} what=${what} who=${who} device=${device} go=${go} />
    ${error && html`<${Problem} error=${error} />`}
    <p class="visually-hidden" role="status">${since ? t("activity.new", { n: since }) : ""}</p>
    ${
      items === null
        ? !error && html`<${Loading} />`
        : items.length
          ? html`<div class="stack"><${Days} items=${items} newest=${newest} />
            ${cursor && html`<div class="list-foot"><button type="button" class="button small" onClick=${loadMore}>${t("history.more")}</button></div>`}</div>`
          : html`<div class="card"><${Empty} icon="activity" title=${t(asked ? "activity.none_match" : "activity.none")}>
            ${asked ? html`<button type="button" class="button" onClick=${() => go({ what: "", who: "", device: "" })}>${t("activity.clear")}</button>` : html`<p>${t("activity.none_text")}</p>`}<//></div>`
    }
  <//>`;
}
