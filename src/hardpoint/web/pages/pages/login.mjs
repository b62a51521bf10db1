// Sign-in by name and password.
import { html, useState } from "../vendor/preact.mjs";
import { signIn } from "../core/api.mjs";
import { t } from "../core/i18n.mjs";
import { PasswordInput, Problem } from "../ui/elements.mjs";
import { Gate } from "../ui/gate.mjs";

export default function LoginPage() {
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);

  async function submit() {
    setBusy(true);
    setError(null);
    try {
      await signIn({ name: name.trim(), password });
    } catch (problem) {
      setError(problem);
      setBusy(false);
    }
  }

  return html`<${Gate} title=${t("login.title")} text=${t("login.text")} onSubmit=${submit}>
    ${error && html`<${Problem} error=${error} />`}
    <div class="field">
      <label for="name">${t("login.name")}</label>
      <input class="input" id="name" autocomplete="username" autocapitalize="none" spellcheck=${false} required
        autofocus value=${name} onInput=${(e) => setName(e.target.value)} />
    </div>
    <div class="field">
      <label for="password">${t("login.password")}</label>
      <${PasswordInput} id="password" autocomplete="current-password" value=${password}
        onInput=${(e) => setPassword(e.target.value)} />
    </div>
    <button class="button primary" disabled=${busy}>${t("login.submit")}</button>
    <p class="hint">${t("login.first_time")}</p>
  <//>`;
}
