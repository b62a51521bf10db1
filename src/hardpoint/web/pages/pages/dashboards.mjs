// All dashboards: those people made, and one for each label, which nobody has to make.
import { html, useEffect, useState } from "../vendor/preact.mjs";
import { api, mayAs } from "../core/api.mjs";
import { dashboards, labelsOf, loadDashboards } from "../core/dashboards.mjs";
import { deviceIds, deviceSignal, loadDevices } from "../core/devices.mjs";
import { t } from "../core/i18n.mjs";
import { onLive } from "../core/live.mjs";
import { dashboardHref, labelHref, navigate } from "../core/router.mjs";
import { loadStyle } from "../core/styles.mjs";
import { Dialog } from "../ui/dialog.mjs";
import { Ago, Empty, Icon, Loading, Problem } from "../ui/elements.mjs";
import { Page, showDialog } from "../ui/shell.mjs";

await loadStyle("css/dashboards.css");

/** Asks for a name and makes an empty dashboard, or one with `cards`. */
export function NewDashboardDialog({ cards = [], usual = "", onClose }) {
  const [name, setName] = useState(usual);
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  async function submit(event) {
    event.preventDefault();
    setBusy(true);
    try {
      const board = await api("POST", "/dashboards", { name: name.trim(), cards });
      onClose();
      navigate(`${dashboardHref(board.id)}${cards.length ? "" : "?edit=1"}`);
    } catch (problem) {
      setError(problem);
      setBusy(false);
    }
  }
  return html`<${Dialog} title=${t("boards.new")} onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      ${error && html`<${Problem} error=${error} />`}
      <div class="field"><label for="board-name">${t("boards.name")}</label>
        <input class="input" id="board-name" data-focus required maxlength="128" autocomplete="off" value=${name}
          onInput=${(event) => setName(event.target.value)} /></div>
      <div class="dialog-foot">
        <button type="button" class="button" onClick=${onClose}>${t("action.cancel")}</button>
        <button class="button primary" disabled=${busy || !name.trim()}>${t("boards.create")}</button>
      </div>
    </form>
  <//>`;
}

const create = (props) => showDialog(() => NewDashboardDialog, props);

/** The dashboards and the devices, kept as they change. */
function useOverview() {
  const [error, setError] = useState(null);
  useEffect(() => {
    const boards = () => loadDashboards().then(() => setError(null), setError);
    const all = () => (boards(), loadDevices().catch(setError));
    all();
    const undo = [onLive("reset", all), onLive("dashboard", boards)];
    return () => undo.forEach((each) => each());
  }, []);
  return error;
}

function Tile({ href, icon, name, children }) {
  return html`<li><a class="card board-tile" href=${href}><span class="tile-icon"><${Icon} name=${icon} /></span>
    <span class="tile-words"><strong>${name}</strong><span class="hint">${children}</span></span></a></li>`;
}

export default function DashboardsPage() {
  const error = useOverview();
  const boards = dashboards.value;
  const title = t("nav.dashboards");
  useEffect(() => void (document.title = `${title} · Hardpoint`), [title]);
  if (!boards) return html`<${Page}>${error ? html`<${Problem} error=${error} />` : html`<${Loading} />`}<//>`;
  const devices = (deviceIds.value ?? []).map((id) => deviceSignal(id).value).filter(Boolean);
  const labels = labelsOf(devices);
  const may = mayAs("operator");
  const add = html`<button type="button" class="button primary" onClick=${() => create({})}>
    <${Icon} name="plus" />${t("boards.new")}</button>`;
  return html`<${Page}>
    <div class="page-head"><h1>${title}</h1>${may && boards.length > 0 && add}</div>
    ${
      boards.length
        ? html`<ul class="board-tiles">${boards.map(
            (board) => html`<${Tile} key=${board.id} href=${dashboardHref(board.id)} icon="layout-dashboard"
              name=${board.name}>${t("boards.cards", { n: board.cards })} · <${Ago} ts=${board.updated} /><//>`,
          )}</ul>`
        : html`<div class="card"><${Empty} icon="layout-dashboard" title=${t("boards.none_title")}>
          <p>${t(may ? "boards.none_text" : "boards.none_viewer")}</p>${may && add}<//></div>`
    }
    <section class="board-labels" aria-labelledby="labels-title">
      <h2 id="labels-title">${t("boards.by_label")}</h2>
      <p class="hint">${t(labels.length ? "boards.by_label_text" : "boards.by_label_none")}</p>
      <ul class="board-tiles">${labels.map(
        ([label, n]) => html`<${Tile} key=${label} href=${labelHref(label)} icon="tag" name=${label.replace(":", ": ")}>
          ${t("boards.devices", { n })}<//>`,
      )}</ul>
    </section>
  <//>`;
}
