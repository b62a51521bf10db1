// What the doctor finds on the server's machine: one line while all is well, else what a person has to do.
import { html, useEffect, useState } from "../../vendor/preact.mjs";
import { api } from "../../core/api.mjs";
import { hasText, locale, t } from "../../core/i18n.mjs";
import { Ago, Icon, IconButton } from "../../ui/elements.mjs";

const RANK = { fail: 0, warn: 1 };
const UNFINISHED_AGAIN_MS = 5_000;

/** The checks that need somebody, the worst first. */
export const needing = (checks) =>
  checks.filter((check) => check.status in RANK).sort((a, b) => RANK[a.status] - RANK[b.status]);

/** What is the matter, in a few words. One that could not be made has nothing that helps. */
function titleOf({ id, status, fix }) {
  const key = `checkup.${id}_${status}`;
  if (!fix) return t("checkup.unchecked", { what: id });
  return hasText(key) ? t(key) : id;
}

// The doctor speaks English, as the command does: what is seen and what helps are mostly paths and commands.
const lang = () => (locale.value === "en" ? undefined : "en");

function Finding({ check }) {
  const { status, seen, fix } = check;
  return html`<li class="finding ${status}"><${Icon} name=${status === "fail" ? "circle-alert" : "triangle-alert"} />
    <div><h3><span class="visually-hidden">${t(`checkup.is_${status}`)} </span>${titleOf(check)}</h3>
      <p lang=${lang()}>${seen}</p>
      ${fix && html`<p class="finding-fix"><span>${t("checkup.fix")}</span> <span lang=${lang()}>${fix}</span></p>`}</div></li>`;
}

/** `{found, busy, look}`: the checkup, asked for when the page opens and when somebody wants it `anew`. */
function useCheckup() {
  const [found, setFound] = useState(null);
  const [busy, setBusy] = useState(false);
  async function look(anew = true) {
    setBusy(true);
    // A refusal is no finding: the health of the page's head still speaks, and the button asks again.
    const answer = await api("GET", `/system/checks${anew ? "?anew=true" : ""}`).catch(() => null);
    setFound((before) => answer ?? before);
    setBusy(false);
  }
  useEffect(() => void look(false), []);
  useEffect(() => {
    if (!found || found.done) return undefined;
    const timer = setTimeout(() => look(false), UNFINISHED_AGAIN_MS);
    return () => clearTimeout(timer);
  }, [found]);
  return { found, busy, look };
}

export function Checkup() {
  const { found, busy, look } = useCheckup();
  if (!found) return null;
  const bad = needing(found.checks);
  const again = html`<${IconButton} small icon="refresh-cw" label=${t("checkup.again")} disabled=${busy} onClick=${() => look()} />`;
  const when = found.done
    ? html`<${Ago} ts=${found.at} />`
    : html`<span>${t("checkup.waits", { n: found.checks.length })}</span>`;
  if (!bad.length)
    return html`<p class="checkup-well" role="status"><${Icon} name=${found.done ? "check" : "clock"} />
      ${found.done && html`<span>${t("checkup.well", { n: found.checks.length })}</span>`}<span class="hint">${when}</span>${again}</p>`;
  return html`<section class="card checkup" aria-labelledby="checkup-title"><header class="card-head">
      <h2 id="checkup-title">${t("checkup.needs", { n: bad.length })}</h2><span class="row"><span class="hint">${when}</span>${again}</span>
    </header>
    <ul class="findings">${bad.map((check) => html`<${Finding} key=${check.id + check.seen} check=${check} />`)}</ul></section>`;
}
