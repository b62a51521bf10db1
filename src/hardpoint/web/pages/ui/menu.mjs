// A button with a menu, by the ARIA menu-button pattern: arrows move, Esc and a click elsewhere close.
import { html, useLayoutEffect, useRef, useState } from "../vendor/preact.mjs";
import { Icon } from "./elements.mjs";

/**
 * `items` are `{label, icon?, run, checked?, danger?}`, "-" for a line, or `{title}`. With `checked` given the item is
 * one of a choice.
 */
export function Menu({ icon, label, items }) {
  const [open, setOpen] = useState(false);
  const anchor = useRef(null);
  const entries = () => [...anchor.current.querySelectorAll("[role^='menuitem']")];

  useLayoutEffect(() => {
    if (!open) return undefined;
    (entries().find((entry) => entry.getAttribute("aria-checked") === "true") ?? entries()[0])?.focus();
    const outside = (event) => anchor.current?.contains(event.target) || setOpen(false);
    document.addEventListener("pointerdown", outside);
    return () => document.removeEventListener("pointerdown", outside);
  }, [open]);

  function close() {
    setOpen(false);
    anchor.current.querySelector("button").focus();
  }

  function onKeyDown(event) {
    if (!open) return;
    const all = entries();
    const at = all.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
    if (to !== undefined) all.at(to % all.length)?.focus();
    else if (event.key === "Escape") close();
    else if (event.key === "Tab") setOpen(false);
    if (to !== undefined || event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
    }
  }

  return html`<div class="menu-anchor" ref=${anchor} onKeyDown=${onKeyDown}>
    <button type="button" class="icon-button" aria-label=${label} title=${label} aria-haspopup="menu"
      aria-expanded=${open} onClick=${() => setOpen(!open)}>
      <${Icon} name=${icon} />
    </button>
    ${open && html`<div class="menu" role="menu" aria-label=${label}>${items.map((item) => entry(item, close))}</div>`}
  </div>`;
}

function entry(item, close) {
  if (item === "-") return html`<hr />`;
  if (item.title) return html`<div class="menu-title" role="presentation">${item.title}</div>`;
  const choice = item.checked !== undefined;
  return html`<button
    type="button"
    class=${item.danger ? "danger" : ""}
    role=${choice ? "menuitemradio" : "menuitem"}
    aria-checked=${choice ? item.checked : undefined}
    tabindex="-1"
    onClick=${() => (close(), item.run())}
  >
    ${item.icon && html`<${Icon} name=${item.icon} />`}${item.label}
    ${item.checked && html`<span class="tick"><${Icon} name="check" /></span>`}
  </button>`;
}
