// A modal: the browser's own <dialog>, which keeps the focus inside, gives it back, and closes on Esc.
import { html, useId, useLayoutEffect, useRef } from "../vendor/preact.mjs";
import { t } from "../core/i18n.mjs";
import { IconButton } from "./elements.mjs";

/** Shown while it is rendered; `onClose` is called when the person closes it, and must then stop rendering it. */
export function Dialog({ title, onClose, wide = false, children }) {
  const ref = useRef(null);
  const titleId = useId();
  useLayoutEffect(() => {
    const dialog = ref.current;
    const before = document.activeElement;
    dialog.showModal();
    dialog.querySelector("[data-focus]")?.focus();
    return () => {
      dialog.close();
      if (before?.isConnected) before.focus();
    };
  }, []);
  return html`<dialog
    class="dialog ${wide ? "wide" : ""}"
    ref=${ref}
    aria-labelledby=${titleId}
    onCancel=${(event) => (event.preventDefault(), onClose())}
    onMouseDown=${(event) => event.target === ref.current && onClose()}
  >
    ${/* Not a <header>: in a dialog, which is no sectioning element, that would be a second banner of the page. */ ""}
    <div class="dialog-head">
      <h2 id=${titleId}>${title}</h2>
      <${IconButton} icon="x" label=${t("action.close")} onClick=${onClose} />
    </div>
    <div class="dialog-body">${children}</div>
  </dialog>`;
}
