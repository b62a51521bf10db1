// The small things every screen is made of.
import { html, useState } from "../vendor/preact.mjs";
import { absolute, relative } from "../core/format.mjs";
import { t } from "../core/i18n.mjs";

const SPRITE = new URL("../icons.svg", import.meta.url).pathname;
const COPIED_FOR_MS = 1_600;

/** One icon of icons.svg. Decoration: the words beside it, or the button's label, say it too. */
export function Icon({ name, spin = false }) {
  return html`<svg class=${spin ? "icon spin" : "icon"} aria-hidden="true"><use href="${SPRITE}#${name}" /></svg>`;
}

/** The mark: a bolt's head seen from above, the point that things are mounted on. */
export function Mark({ size = 24 }) {
  return html`<svg width=${size} height=${size} viewBox="0 0 32 32" aria-hidden="true">
    <path d="M16 2.5 27.7 9.25v13.5L16 29.5 4.3 22.75V9.25Z" fill="currentColor" />
    <circle cx="16" cy="16" r="5.2" fill="none" stroke="var(--surface)" stroke-width="3.2" />
  </svg>`;
}

// ● ◐ ○ and a dashed ring: told apart without colour.
const SHAPES = {
  online: html`<circle cx="5" cy="5" r="4.5" fill="currentColor" />`,
  late: html`<circle cx="5" cy="5" r="4" fill="none" stroke="currentColor" stroke-width="1.5" />
    <path d="M5 1a4 4 0 0 0 0 8z" fill="currentColor" />`,
  offline: html`<circle cx="5" cy="5" r="4" fill="none" stroke="currentColor" stroke-width="1.5" />`,
  never: html`<circle cx="5" cy="5" r="4" fill="none" stroke="currentColor" stroke-width="1.5"
    stroke-dasharray="2 2.2" />`,
};

/** A presence in word and shape. */
export function Presence({ word, badge = false }) {
  return html`<span class="presence ${word} ${badge ? "badge" : ""}">
    <svg viewBox="0 0 10 10" aria-hidden="true">${SHAPES[word]}</svg>${t(`presence.${word}`)}
  </span>`;
}

/**
 * "3 min ago", with the date and time as tooltip. That is worked out when somebody points there: a list of devices would
 * format a date for each reading.
 */
export function Ago({ ts }) {
  return html`<time class="number" datetime=${new Date(ts).toISOString()}
    onPointerEnter=${(event) => (event.currentTarget.title = absolute(ts))}>${relative(ts)}
  </time>`;
}

/** A button that is only an icon, with its words as label and tooltip. */
export function IconButton({ icon, label, small = false, ...rest }) {
  return html`<button type="button" class="icon-button ${small ? "small" : ""}" aria-label=${label} title=${label}
    ...${rest}>
    <${Icon} name=${icon} />
  </button>`;
}

/** Put a text on the clipboard. Resolves to whether that worked. */
export async function copyText(text) {
  // navigator.clipboard exists on HTTPS and localhost only; a server on the LAN is plain HTTP, the normal case here.
  if (navigator.clipboard) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // Permission refused: the old way may still work.
    }
  }
  const area = document.createElement("textarea");
  area.value = text;
  area.setAttribute("readonly", "");
  area.className = "visually-hidden";
  // Inside an open dialog everything else is inert and cannot be selected.
  (document.querySelector("dialog[open]") ?? document.body).append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}

/** A copy button that shows for a moment that it worked. */
export function CopyButton({ text, label = t("action.copy") }) {
  const [done, setDone] = useState(false);
  async function copy() {
    setDone(await copyText(text));
    setTimeout(() => setDone(false), COPIED_FOR_MS);
  }
  return html`<button type="button" class="icon-button small ${done ? "done" : ""}" aria-label=${label} title=${label}
    onClick=${copy}>
    <${Icon} name=${done ? "check" : "copy"} />
    <span class="visually-hidden" role="status">${done ? t("action.copied") : ""}</span>
  </button>`;
}

/** A block of code with a copy button; `masked` is shown with the token hidden, copied whole. */
export function Code({ text, shown = text }) {
  return html`<div class="code"><pre tabindex="0">${shown}</pre><${CopyButton} text=${text} /></div>`;
}

/** Nothing here, said with what to do about it. `heading` is "h1" where it is all there is on the page. */
export function Empty({ icon, title, heading = "h2", children }) {
  return html`<div class="empty"><span class="empty-mark"><${Icon} name=${icon} /></span><${heading}>${title}<//>
    ${children}</div>`;
}

/** While a page or its data is on the way. */
export function Loading() {
  return html`<div class="loading" role="status"><${Icon} name="refresh-cw" spin /><span class="visually-hidden">
    ${t("state.loading")}</span></div>`;
}

/** What went wrong, in place. */
export function Problem({ error, children }) {
  return html`<div class="notice bad" role="alert"><${Icon} name="circle-alert" /><div>
    ${error.text ?? error.message} ${children}</div></div>`;
}

/** A password box whose text can be shown. */
export function PasswordInput({ id, value, onInput, ...rest }) {
  const [shown, setShown] = useState(false);
  return html`<div class="with-button">
    <input class="input" id=${id} type=${shown ? "text" : "password"} value=${value} onInput=${onInput} required
      spellcheck=${false} autocapitalize="none" ...${rest} />
    <${IconButton} icon=${shown ? "eye-off" : "eye"} label=${t(shown ? "password.hide" : "password.show")}
      aria-pressed=${shown} onClick=${() => setShown(!shown)} />
  </div>`;
}
