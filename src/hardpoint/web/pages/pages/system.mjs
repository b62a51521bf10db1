// How the server does: what listens, what goes through it, what it keeps, and what helps when something is wrong.
import { html, useEffect, useState } from "../vendor/preact.mjs";
import { api, apiHref, mayAs } from "../core/api.mjs";
import { absolute, duration, numberParts } from "../core/format.mjs";
import { hasText, t } from "../core/i18n.mjs";
import { loadStyle } from "../core/styles.mjs";
import { Ago, Icon, IconButton, Loading, Problem } from "../ui/elements.mjs";
import { Page } from "../ui/shell.mjs";
import { sparkPath } from "../ui/spark.mjs";
import { toast, toastError } from "../ui/toast.mjs";
import { Checkup } from "./system/checkup.mjs";

await Promise.all([loadStyle("css/system.css"), loadStyle("css/device.css")]);

const EVERY_MS = 2_000;
const MOST_SAMPLES = 60;
const CERTIFICATE_SOON_DAYS = 30;
const DISK_LOW_BYTES = 1e9;

const bytes = (value) => (value === null || value === undefined ? "–" : numberParts(value, "B").join(" "));
const count = (value) => numberParts(value)[0];
const rate = (value) => numberParts(Math.round(value * 10) / 10)[0];

/** `{samples, error}`: the server's state, asked for while the page is seen; two samples make a rate. */
function useSamples() {
  const [samples, setSamples] = useState([]);
  const [error, setError] = useState(null);
  useEffect(() => {
    let timer = null;
    let current = true;
    async function ask() {
      if (!document.hidden) {
        try {
          const sample = await api("GET", "/system");
          if (!current) return;
          // Counters that fell: another process answers, and what was before says nothing of it.
          setSamples((before) =>
            before.at(-1)?.process.pid === sample.process.pid ? [...before, sample].slice(-MOST_SAMPLES) : [sample],
          );
          setError(null);
        } catch (problem) {
          if (current) setError(problem);
        }
      }
      if (current) timer = setTimeout(ask, EVERY_MS);
    }
    ask();
    return () => ((current = false), clearTimeout(timer));
  }, []);
  return { samples, error };
}

/** How much a counter grew in each second between samples: `[[at, rate], …]`. */
export function ratesOf(samples, counter) {
  const found = [];
  for (let i = 1; i < samples.length; i++) {
    const seconds = (samples[i].at - samples[i - 1].at) / 1_000;
    if (seconds > 0) found.push([samples[i].at, Math.max(0, counter(samples[i]) - counter(samples[i - 1])) / seconds]);
  }
  return found;
}

function Tile({ name, value, unit, points, note, word = "" }) {
  const path = points && sparkPath(points, 120, 30);
  return html`<div class="card system-tile ${word}"><dt>${name}</dt>
    <dd class="number">${value}${unit && html`<small>${unit}</small>`}</dd>
    ${
      path?.line &&
      html`<svg class="spark series-0" viewBox="0 0 120 30" preserveAspectRatio="none" aria-hidden="true">
      <path class="spark-area" d=${path.area} /><path class="spark-line" d=${path.line} /></svg>`
    }
    ${note && html`<dd class="hint">${note}</dd>`}</div>`;
}

function Tiles({ samples }) {
  const now = samples.at(-1);
  const readings = ratesOf(samples, (each) => each.counters.readings);
  const refused = (each) => Object.values(each.refused).reduce((sum, n) => sum + n, 0);
  const cpu = ratesOf(samples, (each) => each.process.cpu_s).map(([at, part]) => [at, part * 100]);
  return html`<dl class="system-tiles">
    <${Tile} name=${t("system.readings")} value=${readings.length ? rate(readings.at(-1)[1]) : "–"} unit="/s"
      points=${readings} note=${t("system.in_all", { n: count(now.counters.readings) })} />
    <${Tile} name=${t("system.cpu")} value=${cpu.length ? rate(cpu.at(-1)[1]) : "–"} unit="%" points=${cpu}
      note=${t("system.turn", { time: `${numberParts(now.process.turn_ms)[0]} ms` })} />
    <${Tile} name=${t("system.memory")} value=${bytes(now.process.rss_bytes)}
      points=${samples.map((each) => [each.at, each.process.rss_bytes ?? 0])}
      note=${t("system.up", { time: duration(now.health.uptime_s) })} />
    <${Tile} name=${t("system.connected")} value=${count(now.gauges.connected)}
      note=${t("system.of_devices", { n: now.gauges.devices })} />
    <${Tile} name=${t("system.pending")} value=${count(now.gauges.pending)} word=${now.health.store.failing ? "bad" : ""}
      note=${t(now.health.store.failing ? "system.failing" : "system.pending_note")} />
    <${Tile} name=${t("system.refused")} value=${count(refused(now))} note=${t("system.refused_note")} />
  </dl>`;
}

function Card({ id, title, action, children }) {
  return html`<section class="card" aria-labelledby=${id}><header class="card-head"><h2 id=${id}>${title}</h2>${action}
    </header><div class="card-body">${children}</div></section>`;
}

const Row = ({ name, children, word = "" }) =>
  html`<div class=${word}><dt>${name}</dt><dd>${children}</dd></div>`;

/** Listeners that speak without TLS to more than this machine. */
export const openWithoutTls = (listeners) =>
  listeners.filter(({ url }) => /^(line|http|mqtt):/.test(url) && !/^\w+:\/\/(127\.|\[::1\]|localhost\b)/.test(url));

function Listeners({ health }) {
  const open = openWithoutTls(health.listeners).length;
  return html`<${Card} id="listeners-title" title=${t("system.listeners")}>
    <table class="plain"><thead><tr><th scope="col">${t("system.address")}</th><th scope="col">TLS</th>
      <th scope="col" class="number">${t("system.connections")}</th></tr></thead>
    <tbody>${health.listeners.map(
      (each) => html`<tr key=${each.url}><td><code>${each.url}</code></td>
      <td>${/^(lines|https|mqtts):/.test(each.url) ? t("system.yes") : each.url.startsWith("any:") ? t("system.both") : t("system.no")}</td>
      <td class="number">${count(each.connections)}</td></tr>`,
    )}</tbody></table>
    ${open > 0 && html`<p class="system-open hint"><${Icon} name="triangle-alert" /><span>${t("system.open", { n: open })}</span></p>`}
    ${health.certificates.map((each) => {
      const word = each.days_left < 0 ? "bad" : each.days_left < CERTIFICATE_SOON_DAYS ? "warn" : "";
      return html`<p class="system-line ${word}" key=${each.fingerprint}><${Icon} name=${word ? "triangle-alert" : "key-round"} />
        <span>${each.names.join(", ")}</span><span class="hint">${t(each.days_left < 0 ? "system.ended" : "system.ends", {
          at: absolute(each.not_after),
          n: Math.abs(each.days_left),
        })}</span></p>`;
    })}
    ${health.bridge && html`<p class="system-line ${health.bridge.connected ? "" : "warn"}"><${Icon} name="link" />
      <span>${health.bridge.url}</span><span class="hint">${health.bridge.connected ? t("system.bridge_up") : health.bridge.error}
      </span></p>`}
  <//>`;
}

function Traffic({ now }) {
  const sessions = Object.entries(now.sessions).sort((a, b) => b[1] - a[1]);
  const refused = Object.entries(now.refused).filter(([, n]) => n > 0).sort((a, b) => b[1] - a[1]);
  const dropped = ["live_dropped", "frames_dropped", "reads_refused", "pauses", "commits_failed"]
    .map((name) => [name, now.counters[name]])
    .filter(([, n]) => n > 0);
  return html`<${Card} id="traffic-title" title=${t("system.traffic")}>
    <h3>${t("system.by_dialect")}</h3>
    ${
      sessions.length
        ? html`<dl class="pairs">${sessions.map(([dialect, n]) => html`<${Row} name=${dialect}>${count(n)}<//>`)}</dl>`
        : html`<p class="hint">${t("system.nobody")}</p>`
    }
    <h3>${t("system.dropped")}</h3>
    ${
      refused.length + dropped.length
        ? html`<dl class="pairs">${refused.map(([code, n]) => html`<${Row} name=${code}>${count(n)}<//>`)}
          ${dropped.map(([name, n]) => html`<${Row} name=${t(`system.count_${name}`)}>${count(n)}<//>`)}</dl>`
        : html`<p class="hint">${t("system.nothing_dropped")}</p>`
    }
  <//>`;
}

function usePlan() {
  const [plan, setPlan] = useState(null);
  useEffect(() => void api("GET", `/store/plan?within_s=${7 * 86_400}`).then(setPlan, () => {}), []);
  return plan;
}

/** What retention will do in the week that was asked for. */
function weekWords({ steps, more_steps: more, freed_bytes: freed }) {
  const n = steps.length + more;
  return n ? t("system.week", { n, size: bytes(freed) }) : t("system.week_none");
}

/** How large the store may become, and when it is. */
function limitWords({ max_bytes: most, size_bytes: size, days_to_max: days }) {
  if (size >= most) return t("system.limit_reached", { size: bytes(most) });
  if (days === null) return t("system.limit", { size: bytes(most) });
  return t("system.limit_in", { size: bytes(most), time: duration(Math.max(days * 86_400, 3_600)) });
}

function Store({ store }) {
  const plan = usePlan();
  const low = typeof store.free_bytes === "number" && store.free_bytes < DISK_LOW_BYTES;
  return html`<${Card} id="store-title" title=${t("system.store")}>
    <dl class="pairs">
      ${Object.entries(store)
        .filter(([name, value]) => name.endsWith("_bytes") && typeof value === "number")
        .map(([name, value]) => html`<${Row} key=${name} word=${name === "free_bytes" && low ? "warn" : ""}
          name=${hasText(`system.store_${name}`) ? t(`system.store_${name}`) : name}>${bytes(value)}<//>`)}
      ${store.path && html`<${Row} name=${t("system.store_path")}><code>${store.path}</code><//>`}
    </dl>
    <h3>${t("system.plan")}</h3>
    ${
      plan &&
      html`<p class="hint">${
        plan.rules.length
          ? plan.rules.map(
              (rule) => html`<span class="system-rule"><code>${rule.device} ${rule.key}</code> ${
                rule.thin_after_s ? t("system.thin", { time: duration(rule.thin_after_s) }) : ""
              } ${rule.drop_after_s ? t("system.drop", { time: duration(rule.drop_after_s) }) : t("system.keep")}</span>`,
            )
          : t(plan.max_bytes === null ? "system.keep_all" : "system.keep_room")
      }</p>
      ${(plan.rules.length > 0 || plan.max_bytes !== null) && html`<p class="hint">${weekWords(plan)}</p>`}
      ${plan.max_bytes !== null && html`<p class="hint">${limitWords(plan)}</p>`}`
    }
  <//>`;
}

/** What is wrong with a copy: it cannot be read, or an earlier version made it, which left out the files of firmware. */
function lack({ packages, missing_packages: missing }) {
  if (packages === null) return html`<span class="system-lack">${t("system.backup_broken")}</span>`;
  return missing > 0 && html`<span class="system-lack">${t("system.backup_lacks", { n: missing })}</span>`;
}

function Backups() {
  const [found, setFound] = useState(null);
  const [busy, setBusy] = useState(false);
  const load = () => api("GET", "/store/backups").then(setFound, toastError);
  useEffect(() => void load(), []);
  async function make() {
    setBusy(true);
    try {
      const made = await api("POST", "/store/backups");
      toast(t("system.backed_up", { size: bytes(made.bytes) }));
      await load();
    } catch (error) {
      toastError(error);
    }
    setBusy(false);
  }
  const remove = (name) => api("DELETE", `/store/backups/${name}`).then(load, toastError);
  const button = html`<button type="button" class="button small" disabled=${busy} onClick=${make}>
    <${Icon} name=${busy ? "refresh-cw" : "plus"} spin=${busy} />${t("system.back_up")}</button>`;
  return html`<${Card} id="backups-title" title=${t("system.backups")} action=${button}>
    ${
      found?.items.length
        ? html`<ul class="system-backups">${found.items.map(
            (each) => html`<li key=${each.name}><span><${Ago} ts=${each.made} /> <span class="hint">${bytes(each.bytes)}${
              each.packages > 0 && `, ${t("system.backup_packages", { n: each.packages })}`
            }</span>${lack(each)}</span>
            <span class="row"><a class="icon-button small" href=${apiHref(`/store/backups/${each.name}`)} download=${each.name}
              aria-label=${t("system.fetch", { name: each.name })} title=${t("system.fetch", { name: each.name })}>
              <${Icon} name="download" /></a>
            <${IconButton} icon="trash-2" small label=${t("system.remove", { name: each.name })} onClick=${() => remove(each.name)} />
            </span></li>`,
          )}</ul>`
        : found && html`<p class="hint">${t("system.no_backups")}</p>`
    }
    <p class="hint">${t("system.backups_note")}</p>
  <//>`;
}

function About({ now }) {
  const { process, health } = now;
  return html`<${Card} id="about-title" title=${t("system.about")}
    action=${mayAs("admin") && html`<a class="button small" href=${apiHref("/system/bundle")} download>
      <${Icon} name="download" />${t("system.bundle")}</a>`}>
    <dl class="pairs">
      <${Row} name="Hardpoint">${health.version}<//>
      <${Row} name="Python">${process.python}<//>
      <${Row} name="SQLite">${process.sqlite}<//>
      <${Row} name=${t("system.loop")}>${health.loop}<//>
      <${Row} name=${t("system.machine")}>${process.platform}<//>
      <${Row} name=${t("system.process")}>${process.pid}<//>
    </dl>
    ${
      mayAs("admin") &&
      html`<p class="hint">${t("system.bundle_note")} <a href=${apiHref("/system/bundle?names=hidden")} download>
        ${t("system.bundle_unnamed")}</a></p>`
    }
  <//>`;
}

export default function SystemPage() {
  const { samples, error } = useSamples();
  const title = t("nav.system");
  useEffect(() => void (document.title = `${title} · Hardpoint`), [title]);
  const now = samples.at(-1);
  if (!now) return html`<${Page}>${error ? html`<${Problem} error=${error} />` : html`<${Loading} />`}<//>`;
  const ok = now.health.status === "ok";
  return html`<${Page}>
    <div class="page-head"><h1>${title}</h1><p class="system-health ${ok ? "good" : "bad"}" role="status">
      <${Icon} name=${ok ? "check" : "triangle-alert"} />${t(ok ? "system.ok" : "system.degraded")}</p></div>
    ${error && html`<${Problem} error=${error} />`}
    ${mayAs("admin") && html`<${Checkup} />`}
    <${Tiles} samples=${samples} />
    <div class="system-grid"><${Listeners} health=${now.health} /><${Traffic} now=${now} /><${Store} store=${now.health.store} />
      ${mayAs("admin") && html`<${Backups} />`}<${About} now=${now} /></div>
  <//>`;
}
