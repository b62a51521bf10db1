// The one-time link that `hardpoint serve` prints: it opens a session in which the first account is made. The token is
// in the fragment, which browsers do not send, so it is in no server's or proxy's log.
import { html, useEffect, useState } from "../vendor/preact.mjs";
import { session, setUp, signIn } from "../core/api.mjs";
import { t } from "../core/i18n.mjs";
import { navigate } from "../core/router.mjs";
import { Loading, PasswordInput, Problem } from "../ui/elements.mjs";
import { Gate } from "../ui/gate.mjs";

const MIN_PASSWORD = 8;

/** 0 to 4 by length alone: length is what makes a password strong, and rules on its characters make it weak. */
const strength = (password) => [MIN_PASSWORD, 12, 16, 20].filter((length) => password.length >= length).length;

export default function WelcomePage() {
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(true);
  const [name, setName] = useState("admin");
  const [password, setPassword] = useState("");

  useEffect(() => {
    const link = location.hash.slice(1);
    // Out of the address bar and the history at once: it is a secret until it has been used.
    if (link) history.replaceState(null, "", location.pathname);
    openLink(link)
      .catch(setError)
      .finally(() => setBusy(false));
  }, []);

  async function openLink(link) {
    if (link) await signIn({ link });
    const who = session.value;
    if (!who) navigate("/login", { replace: true });
    else if (!who.setup_needed) navigate("/", { replace: true });
  }

  async function submit() {
    setBusy(true);
    setError(null);
    try {
      await setUp({ name: name.trim(), password });
      navigate("/", { replace: true });
    } catch (problem) {
      setError(problem);
      setBusy(false);
    }
  }

  if (!session.value?.setup_needed) {
    if (!error) return html`<main><${Loading} /></main>`;
    // Used, or not the newest: which, and whether there is an account by now, the server tells nobody.
    const used = error.status === 401;
    const [title, text] = used ? [t("welcome.used_title"), t("welcome.used_text")] : [t("welcome.title"), ""];
    return html`<${Gate} title=${title} text=${text}
      onSubmit=${() => navigate("/login")}>
      ${!used && html`<${Problem} error=${error} />`}
      <button class="button">${t("welcome.to_login")}</button>
    <//>`;
  }
  return html`<${Gate} title=${t("welcome.title")} text=${t("welcome.text")} onSubmit=${submit}>
    ${error && html`<${Problem} error=${error} />`}
    <div class="field">
      <label for="name">${t("login.name")}</label>
      <input class="input" id="name" autocomplete="username" autocapitalize="none" spellcheck=${false} required
        maxlength="128" value=${name} onInput=${(e) => setName(e.target.value)} />
    </div>
    <div class="field">
      <label for="password">${t("login.password")}</label>
      <${PasswordInput} id="password" autocomplete="new-password" minlength=${MIN_PASSWORD} aria-describedby="strength"
        autofocus value=${password} onInput=${(e) => setPassword(e.target.value)} />
      <meter class="strength" min="0" max="4" value=${strength(password)} aria-label=${t("password.strength")}></meter>
      <span class="hint" id="strength">${t(`password.strength_${strength(password)}`)}</span>
    </div>
    <button class="button primary" disabled=${busy}>${t("welcome.submit")}</button>
  <//>`;
}
