// Quiet hours: when channels are silent, and for whom not.
import { html, useEffect, useState } from "../vendor/preact.mjs";
import { api, mayAs } from "../core/api.mjs";
import { locale, t } from "../core/i18n.mjs";
import { Empty, Icon, IconButton, Loading, Problem } from "../ui/elements.mjs";
import { toast, toastError } from "../ui/toast.mjs";
import { AlertsFrame } from "./alerts/frame.mjs";
import { SEVERITIES } from "./alerts/marks.mjs";

const DAY_MS = 86_400_000;
const A_MONDAY = Date.UTC(2024, 0, 1);
const EVERY_DAY = [0, 1, 2, 3, 4, 5, 6];
const ZONES = Intl.supportedValuesOf?.("timeZone") ?? [];
const HERE = Intl.DateTimeFormat().resolvedOptions().timeZone;

/** Days of the week from Monday on, short, in the reader's language. */
const dayNames = () => {
  const format = new Intl.DateTimeFormat(locale.value, { weekday: "short", timeZone: "UTC" });
  return EVERY_DAY.map((i) => format.format(A_MONDAY + i * DAY_MS));
};

const fresh = () => ({
  begins: "22:00",
  ends: "07:00",
  time_zone: HERE,
  days: EVERY_DAY,
  channels: [],
  but_for: "critical",
});

function Hours({ hours, channels, change, remove, may }) {
  const toggle = (list, one) => (list.includes(one) ? list.filter((each) => each !== one) : [...list, one].sort());
  const time = (
    name,
  ) => html`<input class="box" type="time" required aria-label=${t(`quiet.${name}`)} value=${hours[name]}
    disabled=${!may} onInput=${(e) => change({ [name]: e.target.value })} />`;
  return html`<li class="quiet">
    <p class="clause"><span>${t("quiet.from")}</span>${time("begins")}<span>${t("quiet.to")}</span>${time("ends")}
      <select class="box" aria-label=${t("quiet.zone")} value=${hours.time_zone} disabled=${!may}
        onChange=${(e) => change({ time_zone: e.target.value })}>
        ${[...new Set([HERE, hours.time_zone, "UTC", ...ZONES])].map((zone) => html`<option key=${zone}>${zone}</option>`)}
      </select></p>
    <p class="clause"><span>${t("quiet.on")}</span><span class="picks" role="group" aria-label=${t("quiet.days")}>
      ${dayNames().map(
        (name, i) => html`<button type="button" class="pick" key=${i} disabled=${!may}
        aria-pressed=${hours.days.includes(i)} onClick=${() => change({ days: toggle(hours.days, i) })}>${name}</button>`,
      )}
    </span></p>
    <p class="clause"><span>${t("quiet.silent")}</span><span class="picks" role="group" aria-label=${t("alerts.tab_channels")}>
      <button type="button" class="pick" disabled=${!may} aria-pressed=${!hours.channels.length}
        onClick=${() => change({ channels: [] })}>${t("quiet.all_channels")}</button>
      ${channels.map(
        ({ id, name }) => html`<button type="button" class="pick" key=${id} disabled=${!may}
        aria-pressed=${hours.channels.includes(id)} onClick=${() => change({ channels: toggle(hours.channels, id) })}>
        ${name}</button>`,
      )}
    </span></p>
    <p class="clause"><span>${t("quiet.but_for")}</span>
      <select class="box" aria-label=${t("quiet.but_for")} value=${hours.but_for ?? ""} disabled=${!may}
        onChange=${(e) => change({ but_for: e.target.value || null })}>
        <option value="">${t("quiet.nothing")}</option>
        ${SEVERITIES.map((each) => html`<option key=${each} value=${each}>${t(`quiet.from_${each}`)}</option>`)}
      </select></p>
    ${may && html`<${IconButton} icon="trash-2" small label=${t("quiet.remove")} onClick=${remove} />`}
  </li>`;
}

export default function QuietPage() {
  const [items, setItems] = useState(null);
  const [channels, setChannels] = useState([]);
  const [changed, setChanged] = useState(false);
  const [error, setError] = useState(null);
  const may = mayAs("operator");
  useEffect(() => {
    api("GET", "/quiet-hours").then((page) => setItems(page.items), setError);
    if (may) api("GET", "/channels").then((page) => setChannels(page.items), toastError);
  }, []);
  const edit = (next) => (setItems(next), setChanged(true), setError(null));

  async function submit(event) {
    event.preventDefault();
    try {
      setItems((await api("PUT", "/quiet-hours", { items })).items);
      setChanged(false);
      toast(t("quiet.saved"));
    } catch (problem) {
      setError(problem);
    }
  }

  const add =
    may &&
    html`<button type="button" class="button" onClick=${() => edit([...items, fresh()])}>
      <${Icon} name="plus" />${t("quiet.add")}</button>`;
  return html`<${AlertsFrame}>
    ${
      items === null
        ? !error && html`<${Loading} />`
        : items.length || changed
          ? html`<form class="stack" onSubmit=${submit}>
            <ul class="stack">${items.map(
              (hours, i) => html`<${Hours} key=${i} hours=${hours} channels=${channels} may=${may}
                change=${(changes) => edit(items.with(i, { ...hours, ...changes }))} remove=${() => edit(items.toSpliced(i, 1))} />`,
            )}</ul>
            <p class="hint">${t("quiet.text")}</p>
            ${may && html`<div class="row">${add}<button class="button primary" disabled=${!changed}>${t("action.save")}</button></div>`}
          </form>`
          : html`<div class="card"><${Empty} icon="moon" title=${t("quiet.none_title")}><p>${t("quiet.text")}</p>${add}<//></div>`
    }
    ${error && html`<${Problem} error=${error} />`}
  <//>`;
}
