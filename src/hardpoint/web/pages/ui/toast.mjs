// Short messages at the bottom of the page. Polite live region: read out when the reader pauses.
import { html, signal } from "../vendor/preact.mjs";
import { Icon } from "./elements.mjs";

const SHOWN_FOR_MS = 5_000;
/** One with a button: it must be read, understood and reached. */
const OFFERED_FOR_MS = 10_000;
const MOST_AT_ONCE = 3;

const toasts = signal([]);
let lastId = 0;

/**
 * Show a message: `kind` is "good", "bad" or "warn"; `action` is `{label, run}`. A `sticky` one stays until it is
 * undone. Returns the undo.
 */
export function toast(
  text,
  { kind = "good", icon = kind === "good" ? "check" : "circle-alert", action = null, sticky = false } = {},
) {
  const id = ++lastId;
  const dismiss = () => (toasts.value = toasts.value.filter((each) => each.id !== id));
  toasts.value = [...toasts.value, { id, text, kind, icon, action, dismiss }].slice(-MOST_AT_ONCE);
  if (!sticky) setTimeout(dismiss, action ? OFFERED_FOR_MS : SHOWN_FOR_MS);
  return dismiss;
}

/** Say that an action failed and why. */
export const toastError = (error) => toast(error.text ?? error.message, { kind: "bad" });

/** Where they appear; once a page. */
export function Toasts() {
  return html`<div class="toasts" role="status">
    ${toasts.value.map(
      (each) => html`<div class="toast ${each.kind}" key=${each.id}>
        <${Icon} name=${each.icon} spin=${each.icon === "refresh-cw"} /><span>${each.text}</span>
        ${each.action && html`<button type="button" onClick=${() => (each.action.run(), each.dismiss())}>
          ${each.action.label}</button>`}
      </div>`,
    )}
  </div>`;
}
