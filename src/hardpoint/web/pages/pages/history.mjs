// Alerts that ended: what, where, how long, and why.
import { html, useEffect, useState } from "../vendor/preact.mjs";
import { api } from "../core/api.mjs";
import { absolute, duration } from "../core/format.mjs";
import { t } from "../core/i18n.mjs";
import { onLive } from "../core/live.mjs";
import { Ago, Empty, Loading, Problem } from "../ui/elements.mjs";
import { AlertsFrame } from "./alerts/frame.mjs";
import { DeviceLink, Severity } from "./alerts/marks.mjs";
import { alertText } from "./alerts/words.mjs";

const PAGE = 50;

/** `{items, more, error, loadMore}`: alerts that ended, the newest first; `items` is `null` until they are there. */
function useHistory() {
  const [{ items, cursor, error }, setState] = useState({ items: null, cursor: null, error: null });
  const load = (from) =>
    api("GET", `/alerts?state=resolved&limit=${PAGE}${from ? `&cursor=${from}` : ""}`).then(
      (page) =>
        setState((before) => ({
          items: from ? [...before.items, ...page.items] : page.items,
          cursor: page.next_cursor,
          error: null,
        })),
      (problem) => setState((before) => ({ ...before, error: problem })),
    );
  useEffect(() => {
    load();
    const undo = [
      onLive("reset", () => load()),
      onLive("alert", (alert) => {
        if (alert.state !== "resolved") return;
        const rest = (before) => (before.items ?? []).filter((each) => each.id !== alert.id);
        setState((before) => ({ ...before, items: [alert, ...rest(before)].sort((a, b) => b.id - a.id) }));
      }),
    ];
    return () => undo.forEach((each) => each());
  }, []);
  return { items, error, more: cursor, loadMore: () => load(cursor) };
}

function Row({ alert }) {
  return html`<tr>
    <td><${Severity} severity=${alert.severity} /></td>
    <td class="wide"><a href="/alerts/rules/${encodeURIComponent(alert.rule)}">${alert.name}</a>
      <div class="hint">${alertText(alert)}${
        alert.reason &&
        html` · ${t("history.because", {
          reason: alert.reason,
        })}`
      }</div></td>
    <td><${DeviceLink} id=${alert.device} /></td>
    <td class="soft" title=${absolute(alert.fired)}><${Ago} ts=${alert.fired} /></td>
    <td class="number soft">${duration((alert.resolved - alert.fired) / 1000)}</td>
    <td class="soft">${alert.acknowledged_by ?? "–"}</td>
  </tr>`;
}

export default function HistoryPage() {
  const { items, error, more, loadMore } = useHistory();
  const heads = ["severity", "rule", "device", "fired", "lasted", "seen"];
  return html`<${AlertsFrame}>
    ${error && html`<${Problem} error=${error} />`}
    ${
      items === null
        ? !error && html`<${Loading} />`
        : items.length
          ? html`<div class="card scrolls" tabindex="0" role="region" aria-label=${t("alerts.tab_history")}>
            <table class="rows">
              <thead><tr>${heads.map((head) => html`<th scope="col">${t(`history.${head}`)}</th>`)}</tr></thead>
              <tbody>${items.map((alert) => html`<${Row} key=${alert.id} alert=${alert} />`)}</tbody>
            </table>
            ${
              more &&
              html`<div class="list-foot"><button type="button" class="button small" onClick=${loadMore}>
              ${t("history.more")}</button></div>`
            }
          </div>`
          : html`<div class="card"><${Empty} icon="bell" title=${t("history.none_title")}>
            <p>${t("history.none_text")}</p><//></div>`
    }
  <//>`;
}
