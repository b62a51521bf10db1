// Cards in their order, and in edit mode the ways to move, size and remove them: by pointer and by keyboard alike.
import { html, useRef, useState } from "../../vendor/preact.mjs";
import { moved } from "../../core/dashboards.mjs";
import { t } from "../../core/i18n.mjs";
import { Icon, IconButton } from "../../ui/elements.mjs";
import { Card, cardTitle } from "./cards.mjs";

const SIZES = ["s", "m", "l"];
const STEPS = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 };

/** The handle by which a card is moved: dragged, or with the arrow keys while it has the focus. */
function Handle({ title, place, onMove, onDrag }) {
  function onKeyDown(event) {
    const to = event.key === "Home" ? -Infinity : event.key === "End" ? Infinity : STEPS[event.key];
    if (!to) return;
    event.preventDefault();
    onMove(to);
  }
  return html`<button type="button" class="icon-button small card-handle" aria-label=${t("board.move", { title })}
    title=${t("board.move_hint")} aria-describedby="board-move-hint" data-place=${place} onKeyDown=${onKeyDown}
    onPointerDown=${onDrag}><${Icon} name="grip-vertical" /></button>`;
}

function Tools({ card, place, onMove, onDrag, onSize, onEdit, onRemove }) {
  const title = cardTitle(card);
  return html`<div class="card-tools">
    <${Handle} title=${title} place=${place} onMove=${onMove} onDrag=${onDrag} />
    <div class="segments" role="group" aria-label=${t("board.size", { title })}>
      ${SIZES.map((size) => html`<button type="button" key=${size} aria-pressed=${card.size === size}
        aria-label=${t(`board.size_${size}`)} title=${t(`board.size_${size}`)} onClick=${() => onSize(size)}>
        ${size.toUpperCase()}</button>`)}
    </div>
    <${IconButton} icon="pencil" small label=${t("board.edit_card", { title })} onClick=${onEdit} />
    <${IconButton} icon="trash-2" small label=${t("board.remove_card", { title })} onClick=${onRemove} />
  </div>`;
}

/** `edit` is `{onChange(cards), onEdit(card)}` in edit mode, else nothing. */
export function Grid({ cards, edit }) {
  const list = useRef(null);
  const [dragged, setDragged] = useState(null);
  const [said, setSaid] = useState("");
  const latest = useRef(cards);
  latest.current = cards;

  function move(id, to) {
    const now = latest.current;
    const from = now.findIndex((card) => card.id === id);
    const place = Math.max(0, Math.min(now.length - 1, to));
    if (from < 0 || from === place) return;
    edit.onChange(moved(now, from, place));
    setSaid(t("board.moved", { title: cardTitle(now[from]), n: place + 1, total: now.length }));
  }

  function moveBy(card, step) {
    move(card.id, Number.isFinite(step) ? latest.current.indexOf(card) + step : step < 0 ? 0 : latest.current.length);
    // The element moves with its card and keeps the focus in some browsers only.
    requestAnimationFrame(() => list.current?.querySelector(`[data-card="${card.id}"] .card-handle`)?.focus());
  }

  function startDrag(card, event) {
    if (event.button) return;
    const handle = event.currentTarget;
    handle.setPointerCapture(event.pointerId);
    setDragged(card.id);
    const follow = ({ clientX, clientY }) => {
      const under = document.elementsFromPoint(clientX, clientY).find((each) => each.dataset?.card);
      if (under && under.dataset.card !== card.id) {
        move(
          card.id,
          latest.current.findIndex((each) => each.id === under.dataset.card),
        );
      }
    };
    const end = () => {
      handle.removeEventListener("pointermove", follow);
      handle.removeEventListener("pointerup", end);
      handle.removeEventListener("pointercancel", end);
      setDragged(null);
    };
    handle.addEventListener("pointermove", follow);
    handle.addEventListener("pointerup", end);
    handle.addEventListener("pointercancel", end);
  }

  function remove(card) {
    const at = latest.current.indexOf(card);
    edit.onChange(latest.current.filter((each) => each !== card));
    setSaid(t("board.removed", { title: cardTitle(card) }));
    requestAnimationFrame(() => {
      const handles = list.current?.querySelectorAll(".card-handle") ?? [];
      (handles[Math.min(at, handles.length - 1)] ?? document.getElementById("add-card"))?.focus();
    });
  }

  const size = (card, to) =>
    edit.onChange(latest.current.map((each) => (each === card ? { ...card, size: to } : each)));
  return html`<ul class="board ${edit ? "editing" : ""}" ref=${list}>
    ${cards.map(
      (card, place) => html`<li key=${card.id} data-card=${card.id} class="card board-card ${card.size} kind-${card.kind}
        ${dragged === card.id ? "dragged" : ""}">
        ${
          edit &&
          html`<${Tools} card=${card} place=${place} onMove=${(step) => moveBy(card, step)}
          onDrag=${(event) => startDrag(card, event)} onSize=${(to) => size(card, to)}
          onEdit=${() => edit.onEdit(card)} onRemove=${() => remove(card)} />`
        }
        <div class="board-card-body" inert=${Boolean(edit)}><${Card} card=${card} index=${place} /></div>
      </li>`,
    )}
  </ul>
  ${edit && html`<p class="visually-hidden" id="board-move-hint">${t("board.move_hint")}</p>`}
  <div class="visually-hidden" role="status">${said}</div>`;
}
