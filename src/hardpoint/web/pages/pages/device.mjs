// One device: its presence as facts, its numbers as live charts, its commands and attributes.
import { html, useEffect, useLayoutEffect, useState } from "../vendor/preact.mjs";
import { api, devicePath, mayAs } from "../core/api.mjs";
import { deviceSignal, loadDevice, presenceWord } from "../core/devices.mjs";
import { absolute, duration, labelOf, now, valueParts } from "../core/format.mjs";
import { t } from "../core/i18n.mjs";
import { onLive } from "../core/live.mjs";
import { loadModule } from "../core/modules.mjs";
import { singleKeys } from "../core/preferences.mjs";
import { deviceHref, navigate } from "../core/router.mjs";
import { loadStyle } from "../core/styles.mjs";
import { Ago, Empty, Icon, IconButton, Loading, Presence, Problem } from "../ui/elements.mjs";
import { Menu } from "../ui/menu.mjs";
import { Page, showDialog } from "../ui/shell.mjs";
import { toastError } from "../ui/toast.mjs";
import { muteItems, until } from "./alerts/mute.mjs";
import { Attributes } from "./device/attributes.mjs";
import { Charts } from "./device/charts.mjs";
import { Commands } from "./device/commands.mjs";
import { DeleteDialog, EditDialog, TokenDialog } from "./device/manage.mjs";
import { pinValue } from "./device/pinning.mjs";
import { Rules } from "./device/rules.mjs";

const TABS = ["live", "log", "settings"];

await Promise.all([loadStyle("css/device.css"), loadStyle("css/alerts.css")]);

function Fact({ term, children }) {
  return html`<div><dt>${term}</dt><dd>${children}</dd></div>`;
}

/** The four facts, and the word they add up to. */
function Facts({ presence }) {
  const { connected, last_seen: seen, last_reading: read, expected_every_s: every, expected_set: set } = presence;
  return html`<dl class="facts">
    <${Fact} term=${t("fact.connection")}>
      ${
        !connected
          ? t("fact.not_connected")
          : connected.from === "local"
            ? t("fact.local")
            : html`<span title=${absolute(connected.since)}>
              ${t("fact.connected", { dialect: connected.dialect, from: connected.from || "–" })}</span>`
      }
    <//>
    ${connected && html`<${Fact} term=${t("fact.since")}><${Ago} ts=${connected.since} /><//>`}
    <${Fact} term=${t("fact.last_seen")}>${seen === null ? t("devices.never") : html`<${Ago} ts=${seen} />`}<//>
    <${Fact} term=${t("fact.last_reading")}>${read === null ? t("devices.never") : html`<${Ago} ts=${read} />`}<//>
    <${Fact} term=${t("fact.expected")}>
      ${every ? t(set ? "fact.every_set" : "fact.every_learnt", { every: duration(every) }) : "–"}<//>
  </dl>`;
}

/** `.` opens what can be done with the device. */
function useActionsKey() {
  useLayoutEffect(() => {
    const onKeyDown = (event) => {
      if (event.key !== "." || singleKeys.peek() === "off" || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.target.closest?.("input, textarea, select") || document.querySelector("dialog[open]")) return;
      const button = document.querySelector(".device-menu button[aria-expanded=false]");
      if (!button) return;
      event.preventDefault();
      button.click();
    };
    document.addEventListener("keydown", onKeyDown);
    return () => document.removeEventListener("keydown", onKeyDown);
  }, []);
}

function Head({ device }) {
  useActionsKey();
  const show = (Kind) => () => showDialog(() => Kind, { device });
  const muted = device.muted_until > now.value;
  const mute = (for_s) => api("POST", devicePath(device.id, "/mute"), { for_s }).catch(toastError);
  const phone = () =>
    showDialog(async () => (await loadModule("ui/phone.mjs")).PhoneDialog, { path: deviceHref(device.id) });
  const items = [{ label: t("phone.title"), icon: "qr-code", run: phone }];
  if (mayAs("operator")) {
    items.unshift(
      { label: t("device.edit"), icon: "pencil", run: show(EditDialog) },
      { label: t("device.token"), icon: "key-round", run: show(TokenDialog) },
    );
    items.push("-", ...muteItems(muted, mute));
  }
  if (mayAs("admin"))
    items.push("-", { label: t("device.delete"), icon: "trash-2", danger: true, run: show(DeleteDialog) });
  return html`<header class="device-head">
    <div class="device-title">
      <h1>${device.name}</h1>
      <${Presence} word=${presenceWord(device.presence, now.value)} badge />
      <span class="labels">${Object.entries(device.labels).map(([key, value]) => html`<span class="chip">
        ${key}: ${value}</span>`)}</span>
      ${muted && html`<span class="chip muted-chip"><${Icon} name="bell-off" />${t("rules.muted", { at: until(device.muted_until) })}</span>`}
      <span class="device-menu"><${Menu} icon="ellipsis" label=${t("device.actions")} items=${items} /></span>
    </div>
    <${Facts} presence=${device.presence} />
  </header>`;
}

/** Values that no chart can show: booleans, texts, JSON. */
function States({ device }) {
  const keys = Object.keys(device.latest)
    .filter((key) => typeof device.latest[key].value !== "number")
    .sort();
  if (!keys.length) return null;
  return html`<section class="card" aria-labelledby="states-title">
    <header class="card-head"><h2 id="states-title">${t("states.title")}</h2></header>
    <dl class="pairs padded">
      ${keys.map((key) => {
        const { value, ts } = device.latest[key];
        const text = valueParts(key, value)[0];
        return html`<div key=${key}><dt title=${key}>${labelOf(key, device.fields)}</dt>
          <dd class=${typeof value === "boolean" ? `flag ${value}` : ""} title=${text}>
            ${typeof value === "boolean" ? t(`states.${value}`) : text}</dd>
          <dd class="faint pair-at"><${Ago} ts=${ts} /></dd>
          ${
            mayAs("operator") &&
            html`<dd class="pair-act"><${IconButton} icon="pin" small label=${t("pin.chart", { name: labelOf(key, device.fields) })}
              onClick=${() => pinValue(device, key)} /></dd>`
          }</div>`;
      })}
    </dl>
  </section>`;
}

/** A new device: nothing has come yet, and what to do about it. */
function NotYet({ device }) {
  const open = () => showDialog(() => TokenDialog, { device });
  return html`<div class="card"><${Empty} icon="radio" title=${t("charts.empty_title")}>
    <p>${t("charts.empty_text")}</p>
    ${mayAs("operator") && html`<button type="button" class="button primary" onClick=${open}>
      <${Icon} name="key-round" />${t("device.connect")}</button>`}
  <//></div>`;
}

/** The parts of a device's page, each with an address. */
function Tabs({ id, tab }) {
  return html`<nav class="tabs" aria-label=${t("device.tabs")}>${TABS.map(
    (each) => html`<a key=${each} href=${deviceHref(id) + (each === "live" ? "" : `/${each}`)}
      aria-current=${each === tab ? "page" : undefined}>${t(`device.tab_${each}`)}</a>`,
  )}</nav>`;
}

/** What is not looked at every day, fetched when it is. */
function Later({ path, name, device }) {
  const [found, setFound] = useState({});
  useEffect(() => {
    let current = true;
    loadModule(path).then(
      (module) => current && setFound({ module }),
      (error) => current && setFound({ error }),
    );
    return () => (current = false);
  }, [path]);
  if (found.error) return html`<${Problem} error=${found.error} />`;
  return found.module ? html`<${found.module[name]} device=${device} />` : html`<${Loading} />`;
}

export default function DevicePage({ params }) {
  const [id, setId] = useState(params.id);
  const [error, setError] = useState(null);
  const device = deviceSignal(id).value;

  useEffect(() => {
    let current = true;
    const load = () =>
      loadDevice(id).then(
        (found) => {
          if (!current) return;
          setError(null);
          setId(found.id);
          // The address may hold the name; the id outlives it.
          const rest = (params.tab ? `/${params.tab}` : "") + location.search;
          if (found.id !== params.id) navigate(deviceHref(found.id) + rest, { replace: true });
        },
        (problem) => current && setError(problem),
      );
    load();
    const undo = onLive("reset", load);
    return () => ((current = false), undo());
  }, [params.id]);
  useEffect(() => void (document.title = `${device?.name ?? params.id} · Hardpoint`), [device?.name]);

  if (!device) {
    const gone = error?.status === 404;
    return html`<${Page} crumb=${params.id}>
      ${
        gone
          ? html`<${Empty} icon="search" heading="h1" title=${t("device.gone")}><p>${t("device.gone_text")}</p>
            <a class="button primary" href="/devices">${t("missing.action")}</a><//>`
          : error
            ? html`<${Problem} error=${error} />`
            : html`<${Loading} />`
      }
    <//>`;
  }
  const said = Object.keys(device.latest).length > 0;
  const tab = TABS.includes(params.tab) ? params.tab : "live";
  if (tab !== "live") {
    const [path, name] =
      tab === "log" ? ["pages/device/log.mjs", "Log"] : ["pages/device/settings.mjs", "Settings"];
    return html`<${Page} crumb=${device.name}><${Head} device=${device} /><${Tabs} id=${device.id} tab=${tab} />
      <${Later} key=${path} path=${path} name=${name} device=${device} /><//>`;
  }
  return html`<${Page} crumb=${device.name}>
    <${Head} device=${device} /><${Tabs} id=${device.id} tab=${tab} />
    <div class="device-grid">
      <div>${said ? html`<${Charts} device=${device} />` : html`<${NotYet} device=${device} />`}</div>
      <aside class="rail"><${States} device=${device} /><${Commands} device=${device} />
        <${Rules} id=${device.id} /><${Attributes} id=${device.id} />
      </aside>
    </div>
  <//>`;
}
