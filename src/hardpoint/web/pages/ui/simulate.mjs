// For who has no hardware at hand: the server itself plays the device for a while.
import { html, useEffect, useState } from "../vendor/preact.mjs";
import { api, devicePath } from "../core/api.mjs";
import { clock } from "../core/format.mjs";
import { t } from "../core/i18n.mjs";
import { Icon, Problem } from "./elements.mjs";

const FOR_S = 600;

/** A button that starts and stops it, and until when it runs. */
export function Simulate({ id }) {
  const [until, setUntil] = useState(null);
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  const path = devicePath(id, "/simulation");
  const take = (answer) => (setUntil(answer.simulated_until), setError(null));
  useEffect(() => void api("GET", path).then(take, setError), [path]);
  useEffect(() => {
    if (until === null) return undefined;
    const timer = setTimeout(() => setUntil(null), Math.max(0, until - Date.now()));
    return () => clearTimeout(timer);
  }, [until]);
  async function simulate(for_s) {
    setBusy(true);
    await api("PUT", path, { for_s }).then(take, setError);
    setBusy(false);
  }
  return html`<div class="simulate">
    <p>${t("simulate.text")}</p>
    ${error && html`<${Problem} error=${error} />`}
    ${
      until
        ? html`<p><button type="button" class="button" disabled=${busy} onClick=${() => simulate(0)}>
          <${Icon} name="x" />${t("simulate.stop")}</button>
          <span class="soft">${t("simulate.until", { at: clock(until) })}</span></p>`
        : html`<p><button type="button" class="button primary" disabled=${busy} onClick=${() => simulate(FOR_S)}>
          <${Icon} name="play" />${t("simulate.start")}</button>
          <span class="soft">${t("simulate.for", { minutes: FOR_S / 60 })}</span></p>`
    }
  </div>`;
}
