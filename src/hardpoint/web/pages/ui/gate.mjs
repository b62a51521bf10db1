// The frame of the pages before sign-in: one card in the middle.
import { html } from "../vendor/preact.mjs";
import { Mark } from "./elements.mjs";
import { Preferences } from "./shell.mjs";

/** `onSubmit` is called with the form's default already prevented. */
export function Gate({ title, text, onSubmit, children }) {
  const submit = (event) => (event.preventDefault(), onSubmit());
  return html`<main class="gate">
    <div class="brand gate-brand"><${Mark} size=${30} />Hardpoint</div>
    <form class="gate-card" onSubmit=${submit}>
      <div class="gate-head"><h1>${title}</h1>${text && html`<p>${text}</p>`}</div>
      ${children}
    </form>
    <div class="gate-foot"><${Preferences} /></div>
  </main>`;
}
