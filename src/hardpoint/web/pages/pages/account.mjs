// One's own account: the role, the password, and where one is signed in.
import { html, useEffect, useState } from "../vendor/preact.mjs";
import { api, session } from "../core/api.mjs";
import { t } from "../core/i18n.mjs";
import { Loading, PasswordInput, Problem } from "../ui/elements.mjs";
import { Page } from "../ui/shell.mjs";
import { toast, toastError } from "../ui/toast.mjs";
import { NewPasswordField } from "./people/fields.mjs";
import { Limits, Role } from "./people/frame.mjs";
import { Sessions } from "./people/sessions.mjs";

function PasswordCard({ onChanged }) {
  const [current, setCurrent] = useState("");
  const [next, setNext] = useState("");
  const [error, setError] = useState(null);
  const wrong = error?.field === "current";
  async function submit(event) {
    event.preventDefault();
    setError(null);
    try {
      await api("POST", "/session/password", { current, new: next });
      setCurrent("");
      setNext("");
      toast(t("account.password_changed"));
      onChanged();
    } catch (problem) {
      setError(problem);
    }
  }
  return html`<section class="card padded" aria-labelledby="password-title">
    <h2 id="password-title">${t("account.password")}</h2>
    <form class="stack narrow" onSubmit=${submit}>
      <input class="visually-hidden" type="text" name="username" autocomplete="username" tabindex="-1" aria-hidden="true"
        readonly value=${session.value?.user?.name ?? ""} />
      ${error && !wrong && html`<${Problem} error=${error} />`}
      <div class="field"><label for="current-password">${t("account.current")}</label>
        <${PasswordInput} id="current-password" value=${current} autocomplete="current-password" aria-invalid=${wrong}
          aria-describedby=${wrong ? "current-hint" : undefined} onInput=${(e) => setCurrent(e.target.value)} />
        ${wrong && html`<span id="current-hint" class="field-error">${t("account.wrong")}</span>`}</div>
      <${NewPasswordField} value=${next} onChange=${setNext} label=${t("account.new")} error=${error} />
      <div><button class="button primary" disabled=${!current || next.length < 8}>${t("account.change")}</button></div>
      <p class="hint">${t("account.password_hint")}</p>
    </form>
  </section>`;
}

export default function AccountPage() {
  const [items, setItems] = useState(null);
  const [error, setError] = useState(null);
  const load = () => api("GET", "/sessions").then((page) => setItems(page.items), setError);
  useEffect(() => void load(), []);
  useEffect(() => void (document.title = `${t("account.title")} · Hardpoint`));
  const end = ({ id }) => api("DELETE", `/sessions/${id}`).then(load, toastError);
  const endOthers = () =>
    api("DELETE", "/sessions").then(() => {
      toast(t("account.ended"));
      return load();
    }, toastError);
  const user = session.value?.user;
  return html`<${Page}>
    <div class="page-head"><h1>${t("account.title")}</h1></div>
    ${
      user &&
      html`<p class="rule-facts account-facts"><strong>${user.name}</strong><${Role} role=${user.role} />
      <${Limits} labels=${user.labels} /></p>`
    }
    <div class="stack">
      <${PasswordCard} onChanged=${load} />
      <section class="stack" aria-labelledby="sessions-title">
        <div class="section-head"><h2 id="sessions-title">${t("account.sessions")}</h2>
          ${
            items?.length > 1 &&
            html`<button type="button" class="button small" onClick=${endOthers}>${t("account.end_others")}</button>`
          }</div>
        ${error && html`<${Problem} error=${error} />`}
        ${items ? html`<${Sessions} items=${items} onEnd=${end} />` : !error && html`<${Loading} />`}
      </section>
    </div>
  <//>`;
}
