// How this browser shows things to this person: language, theme, times, units, keys.
import { html, useEffect, useId } from "../vendor/preact.mjs";
import { absolute, now, numberParts } from "../core/format.mjs";
import { chooseLocale, LOCALES, locale, t } from "../core/i18n.mjs";
import { hourCycle, singleKeys, temperatureUnit, theme, timeZone } from "../core/preferences.mjs";
import { loadStyle } from "../core/styles.mjs";
import { Page } from "../ui/shell.mjs";
import { toastError } from "../ui/toast.mjs";

await loadStyle("css/system.css");

const here = Intl.DateTimeFormat().resolvedOptions().timeZone;

function Choice({ label, hint, value, options, onChange }) {
  const id = useId();
  return html`<div class="field"><label for=${id}>${label}</label>
    <select class="input" id=${id} value=${value} onChange=${(event) => onChange(event.target.value)}>
      ${options.map(([name, text]) => html`<option value=${name}>${text}</option>`)}</select>
    ${hint && html`<span class="hint">${hint}</span>`}</div>`;
}

export default function SettingsPage() {
  const title = t("nav.settings");
  useEffect(() => void (document.title = `${title} · Hardpoint`), [title]);
  const zones = [["", t("settings.zone_browser", { zone: here })], ["UTC", "UTC"]].concat(
    Intl.supportedValuesOf("timeZone")
      .filter((zone) => zone !== "UTC")
      .map((zone) => [zone, zone.replaceAll("_", " ")]),
  );
  return html`<${Page}>
    <div class="page-head"><h1>${title}</h1></div>
    <div class="card settings stack">
      <p class="hint">${t("settings.text")}</p>
      <${Choice} label=${t("menu.language")} value=${locale.value} options=${Object.entries(LOCALES)}
        onChange=${(tag) => chooseLocale(tag).catch(toastError)} />
      <${Choice} label=${t("menu.theme")} value=${theme.value} onChange=${(name) => (theme.value = name)}
        options=${["system", "light", "dark"].map((name) => [name, t(`theme.${name}`)])} />
      <${Choice} label=${t("settings.zone")} value=${timeZone.value} options=${zones}
        onChange=${(zone) => (timeZone.value = zone)} hint=${t("settings.sample", { sample: absolute(now.value) })} />
      <${Choice} label=${t("settings.clock")} value=${hourCycle.value} onChange=${(name) => (hourCycle.value = name)}
        options=${[["h23", t("settings.clock_24")], ["h12", t("settings.clock_12")]]} />
      <${Choice} label=${t("settings.temperature")} value=${temperatureUnit.value}
        onChange=${(unit) => (temperatureUnit.value = unit)} options=${[["°C", "°C"], ["°F", "°F"]]}
        hint=${t("settings.sample", { sample: numberParts(21.5, "°C").join(" ") })} />
      <label class="check"><input type="checkbox" checked=${singleKeys.value === "on"}
        onChange=${(event) => (singleKeys.value = event.target.checked ? "on" : "off")} />${t("settings.keys")}</label>
    </div>
  <//>`;
}
