// One dashboard: live cards, edited in place, shown on a wall, or shared by a link.
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../vendor/preact.mjs";
import { api, mayAs } from "../core/api.mjs";
import { automaticCards, dashboardPath, devicesOf, freeCardId } from "../core/dashboards.mjs";
import { deviceIds, deviceSignal, loadDevice, loadDevices } from "../core/devices.mjs";
import { t } from "../core/i18n.mjs";
import { beginKiosk, canKeepAwake } from "../core/kiosk.mjs";
import { liveStatus, onLive } from "../core/live.mjs";
import { loadModule } from "../core/modules.mjs";
import { navigate, route, setQuery } from "../core/router.mjs";
import { loadStyle } from "../core/styles.mjs";
import { Empty, Icon, IconButton, Loading, Problem } from "../ui/elements.mjs";
import { Menu } from "../ui/menu.mjs";
import { Page, showDialog } from "../ui/shell.mjs";
import { toast, toastError } from "../ui/toast.mjs";
import { Grid } from "./dashboard/grid.mjs";

await Promise.all([loadStyle("css/dashboards.css"), loadStyle("css/device.css")]);

/** Up to so many devices are fetched one by one; for more the whole list costs less. */
const FETCHED_ALONE = 6;

const openEditor = (props) => showDialog(async () => (await loadModule("pages/dashboard/editor.mjs")).CardDialog, props);
const openLinks = (props) => showDialog(async () => (await loadModule("pages/dashboard/links.mjs")).LinksDialog, props);

/** The devices of the cards, fetched where they are not known, and again after a loss. */
function useDevicesOf(cards) {
  const wanted = devicesOf(cards).join("\n");
  useEffect(() => {
    const ids = wanted.split("\n").filter(Boolean);
    const fetchThem = (all) => {
      const missing = all ? ids : ids.filter((id) => !deviceSignal(id).peek());
      // A device that is gone, or not this person's, is said on its card.
      if (missing.length > FETCHED_ALONE) loadDevices().catch(() => {});
      else missing.forEach((id) => loadDevice(id).catch(() => {}));
    };
    fetchThem(false);
    return onLive("reset", () => fetchThem(true));
  }, [wanted]);
}

/** `{board, error, setBoard}` of a dashboard that people made; told at once when somebody changes it. */
function useBoard(id) {
  const [state, setState] = useState({ board: null, error: null });
  useEffect(() => {
    const load = () =>
      api("GET", dashboardPath(id)).then(
        (board) => setState({ board, error: null }),
        (error) => setState((before) => ({ board: error.status === 404 ? null : before.board, error })),
      );
    load();
    const undo = [onLive("reset", load), onLive("dashboard", (event) => event.id === id && load())];
    return () => undo.forEach((each) => each());
  }, [id]);
  return { ...state, setBoard: (board) => setState({ board, error: null }) };
}

/** The automatic dashboard of a label. Its cards stay as they are while the page is open: values change, places do not. */
function useLabelBoard(label) {
  const [error, setError] = useState(null);
  const [key, value] = [label.slice(0, label.indexOf(":")), label.slice(label.indexOf(":") + 1)];
  useEffect(() => void loadDevices().catch(setError), [label]);
  const ids = deviceIds.value;
  const cards = useMemo(() => {
    const devices = (ids ?? []).map((id) => deviceSignal(id).peek()).filter((device) => device?.labels[key] === value);
    return automaticCards(devices);
  }, [ids, label]);
  return { board: ids && { name: `${key}: ${value}`, cards, automatic: true }, error };
}

/** The draft of an edit, or `null`; `base` is what it was made from, and may have been changed by others since. */
function useDraft(board, setBoard) {
  const asked = route.value.query.get("edit") !== null;
  const [draft, setDraft] = useState(null);
  const [conflict, setConflict] = useState(false);
  const begin = () => setDraft({ name: board.name, cards: board.cards, version: board.version });
  useEffect(() => {
    if (asked && board?.may_edit && !draft) begin();
  }, [asked, board?.may_edit]);
  const end = () => (setDraft(null), setConflict(false), setQuery({ edit: null }));
  async function save(version = draft.version) {
    try {
      const body = { version, name: draft.name.trim(), cards: draft.cards };
      setBoard(await api("PUT", dashboardPath(board.id), body));
      end();
      toast(t("board.saved"));
    } catch (error) {
      if (error.status === 409) setConflict(true);
      else toastError(error);
    }
  }
  return { draft, setDraft, begin, end, save, conflict };
}

function EditBar({ edit, onAdd }) {
  const { draft, setDraft, end, save } = edit;
  return html`<div class="edit-bar">
    <input class="input board-name" aria-label=${t("boards.name")} maxlength="128" value=${draft.name}
      onInput=${(event) => setDraft({ ...draft, name: event.target.value })} />
    <button type="button" class="button" id="add-card" onClick=${onAdd}><${Icon} name="plus" />${t("board.add_card")}
    </button>
    <span class="row edit-ends"><button type="button" class="button" onClick=${end}>${t("action.cancel")}</button>
    <button type="button" class="button primary" disabled=${!draft.name.trim()} onClick=${() => save()}>
      ${t("action.save")}</button></span>
  </div>`;
}

/** Somebody else saved meanwhile: theirs, or this one over it. Nothing is lost without a choice. */
function Conflict({ board, edit }) {
  return html`<div class="notice warn" role="alert"><${Icon} name="triangle-alert" /><div>
    <p>${t("board.conflict", { name: board.updated_by })}</p>
    <p class="row"><button type="button" class="button small" onClick=${edit.end}>${t("board.take_theirs")}</button>
      <button type="button" class="button small" onClick=${() => edit.save(board.version)}>${t("board.keep_mine")}
      </button></p></div></div>`;
}

async function enterKiosk() {
  setQuery({ kiosk: "1", edit: null });
  try {
    await document.documentElement.requestFullscreen?.();
  } catch {
    // A browser may refuse; the dashboard fills its window then.
  }
  if (!canKeepAwake()) toast(t("board.no_wake"), { kind: "warn" });
}

function leaveKiosk() {
  setQuery({ kiosk: null });
  if (document.fullscreenElement) document.exitFullscreen();
}

/** A dashboard on the wall; Esc and a button, which the first movement shows, lead back. `onLeave` null: nowhere to. */
export function Kiosk({ name, cards, onLeave }) {
  useDevicesOf(onLeave ? cards : []);
  useEffect(beginKiosk, []);
  useLayoutEffect(() => {
    if (!onLeave) return undefined;
    const onKeyDown = (event) => event.key === "Escape" && onLeave();
    document.addEventListener("keydown", onKeyDown);
    return () => document.removeEventListener("keydown", onKeyDown);
  }, []);
  const lost = liveStatus.value === "lost";
  return html`<main class="kiosk ${lost ? "stale" : ""}" id="main">
    <header class="kiosk-head"><h1>${name}</h1>
      ${lost && html`<p class="kiosk-lost" role="status"><${Icon} name="refresh-cw" spin />${t("live.lost")}</p>`}
      ${onLeave && html`<${IconButton} icon="x" label=${t("board.leave_kiosk")} onClick=${onLeave} />`}</header>
    <${Grid} cards=${cards} />
  </main>`;
}

/** Keep an automatic dashboard as one of one's own, from where it can be changed and shared. */
function Keep({ board }) {
  const keep = () =>
    showDialog(async () => (await loadModule("pages/dashboards.mjs")).NewDashboardDialog, {
      cards: board.cards,
      usual: board.name,
    });
  return mayAs("operator") && board.cards.length > 0
    ? html`<button type="button" class="button" onClick=${keep}><${Icon} name="plus" />${t("board.keep")}</button>`
    : null;
}

async function remove(board) {
  try {
    await api("DELETE", dashboardPath(board.id));
    navigate("/dashboards");
    const { id: _, version: __, ...rest } = board;
    toast(t("board.deleted", { name: board.name }), {
      action: {
        label: t("action.undo"),
        run: () => api("POST", "/dashboards", { name: rest.name, cards: rest.cards }).catch(toastError),
      },
    });
  } catch (error) {
    toastError(error);
  }
}

function Acts({ board, edit }) {
  const items = [
    { label: t("board.share"), icon: "link", run: () => openLinks({ board }) },
    { label: t("board.delete"), icon: "trash-2", danger: true, run: () => remove(board) },
  ];
  return html`<div class="row">
    <${IconButton} icon="maximize" label=${t("board.kiosk")} onClick=${enterKiosk} />
    ${board.automatic && html`<${Keep} board=${board} />`}
    ${
      board.may_edit &&
      html`<button type="button" class="button" onClick=${edit.begin}><${Icon} name="pencil" />${t("board.edit")}</button>
      <${Menu} icon="ellipsis" label=${t("board.actions")} items=${items} />`
    }
  </div>`;
}

function Board({ board, setBoard }) {
  const edit = useDraft(board, setBoard);
  const { draft, setDraft } = edit;
  const cards = draft?.cards ?? board.cards;
  const main = useRef(null);
  useDevicesOf(cards);
  const put = (card) => {
    const known = cards.some((each) => each.id === card.id);
    setDraft({ ...draft, cards: known ? cards.map((each) => (each.id === card.id ? card : each)) : [...cards, card] });
  };
  const add = () => openEditor({ card: { id: freeCardId(cards) }, onDone: put });
  const grid = { onChange: (next) => setDraft({ ...draft, cards: next }), onEdit: (card) => openEditor({ card, onDone: put }) };
  return html`<div ref=${main}>
    ${
      draft
        ? html`<h1 class="visually-hidden">${board.name}</h1><${EditBar} edit=${edit} onAdd=${add} />`
        : html`<div class="page-head"><h1>${board.name}</h1><${Acts} board=${board} edit=${edit} /></div>`
    }
    ${edit.conflict && html`<${Conflict} board=${board} edit=${edit} />`}
    ${board.automatic && html`<p class="hint board-note">${t("board.automatic")}</p>`}
    ${
      cards.length
        ? html`<${Grid} cards=${cards} edit=${draft && grid} />`
        : html`<div class="card"><${Empty} icon="layout-dashboard" title=${t("board.empty_title")}>
          <p>${t(board.automatic ? "board.empty_label" : "board.empty_text")}</p>
          ${board.may_edit && html`<button type="button" class="button primary" onClick=${draft ? add : edit.begin}>
            <${Icon} name="plus" />${t(draft ? "board.add_card" : "board.edit")}</button>`}<//></div>`
    }
  </div>`;
}

function Shown({ board, error, setBoard }) {
  const kiosk = route.value.query.get("kiosk") !== null;
  useEffect(() => void (document.title = `${board?.name ?? t("nav.dashboards")} · Hardpoint`), [board?.name]);
  if (board && kiosk) return html`<${Kiosk} name=${board.name} cards=${board.cards} onLeave=${leaveKiosk} />`;
  const gone = error?.status === 404;
  return html`<${Page} crumb=${board?.name ?? "…"}>${
    gone
      ? html`<${Empty} icon="search" heading="h1" title=${t("board.gone")}>
        <a class="button primary" href="/dashboards">${t("board.to_all")}</a><//>`
      : board
        ? html`<${Board} board=${board} setBoard=${setBoard} />`
        : error
          ? html`<${Problem} error=${error} />`
          : html`<${Loading} />`
  }<//>`;
}

const Made = ({ id }) => html`<${Shown} ...${useBoard(id)} />`;
const OfLabel = ({ label }) => html`<${Shown} ...${useLabelBoard(label)} />`;

export default function DashboardPage({ params }) {
  return params.label ? html`<${OfLabel} label=${params.label} />` : html`<${Made} id=${params.id} />`;
}
