// Pin what is on screen to a dashboard: one that exists, or a new one.
import { html, useEffect, useId, useState } from "../vendor/preact.mjs";
import { api } from "../core/api.mjs";
import { dashboardPath, dashboards, freeCardId, loadDashboards } from "../core/dashboards.mjs";
import { t } from "../core/i18n.mjs";
import { recall, remember } from "../core/preferences.mjs";
import { dashboardHref, navigate } from "../core/router.mjs";
import { Dialog } from "./dialog.mjs";
import { Loading, Problem } from "./elements.mjs";
import { toast } from "./toast.mjs";

const NEW = "";
/** Somebody may be pinning to the same dashboard: theirs is kept, and ours is put behind it. */
const MOST_TRIES = 4;

/** Put a card at the end of a dashboard. Rejects with ApiError; resolves to the dashboard. */
export async function addCard(id, card) {
  for (let attempt = 1; ; attempt += 1) {
    const board = await api("GET", dashboardPath(id));
    const cards = [...board.cards, { ...card, id: freeCardId(board.cards) }];
    try {
      return await api("PUT", dashboardPath(id), { version: board.version, name: board.name, cards });
    } catch (error) {
      if (error.status !== 409 || attempt === MOST_TRIES) throw error;
    }
  }
}

/** `cards` are the kinds of card that it may become, without an id; the first one is proposed. */
export function PinDialog({ cards, usual, onClose }) {
  const ids = [useId(), useId()];
  const [kind, setKind] = useState(cards[0].kind);
  const [board, setBoard] = useState(null);
  const [name, setName] = useState(usual);
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  const boards = dashboards.value;
  useEffect(() => void loadDashboards().catch(setError), []);
  // The one that was pinned to last, where it is still there; else the first; else a new one.
  const chosen = board ?? boards?.find(({ id }) => id === recall("pinned", ""))?.id ?? boards?.[0]?.id ?? NEW;

  async function submit(event) {
    event.preventDefault();
    setBusy(true);
    setError(null);
    const card = cards.find((each) => each.kind === kind);
    try {
      const made = chosen
        ? await addCard(chosen, card)
        : await api("POST", "/dashboards", { name: name.trim(), cards: [{ ...card, id: freeCardId([]) }] });
      remember("pinned", made.id);
      onClose();
      toast(t("pin.done", { name: made.name }), {
        action: { label: t("pin.open"), run: () => navigate(dashboardHref(made.id)) },
      });
    } catch (problem) {
      setError(problem);
      setBusy(false);
    }
  }

  return html`<${Dialog} title=${t("pin.title")} onClose=${onClose}>
    ${
      boards === null
        ? error
          ? html`<${Problem} error=${error} />`
          : html`<${Loading} />`
        : html`<form class="stack" onSubmit=${submit}>
      ${error && html`<${Problem} error=${error} />`}
      ${
        cards.length > 1 &&
        html`<div class="segments" role="group" aria-label=${t("editor.kind")}>${cards.map(
          (each) => html`<button type="button" key=${each.kind} aria-pressed=${each.kind === kind}
            onClick=${() => setKind(each.kind)}>${t(`card.${each.kind}`)}</button>`,
        )}</div>`
      }
      <div class="field"><label for=${ids[0]}>${t("pin.to")}</label>
        <select class="input" id=${ids[0]} data-focus value=${chosen} onChange=${(event) => setBoard(event.target.value)}>
          ${boards.map((each) => html`<option key=${each.id} value=${each.id}>${each.name}</option>`)}
          <option value=${NEW}>${t("pin.new")}</option>
        </select></div>
      ${
        !chosen &&
        html`<div class="field"><label for=${ids[1]}>${t("boards.name")}</label>
        <input class="input" id=${ids[1]} required maxlength="128" autocomplete="off" value=${name}
          onInput=${(event) => setName(event.target.value)} /></div>`
      }
      <div class="dialog-foot">
        <button type="button" class="button" onClick=${onClose}>${t("action.cancel")}</button>
        <button class="button primary" disabled=${busy || (!chosen && !name.trim())}>${t("pin.submit")}</button>
      </div>
    </form>`
    }
  <//>`;
}
