// A device as a card: on the home page, and in the device list for who prefers cards to rows.
import { html } from "../../vendor/preact.mjs";
import { deviceSignal, presenceWord } from "../../core/devices.mjs";
import { now } from "../../core/format.mjs";
import { t } from "../../core/i18n.mjs";
import { deviceHref } from "../../core/router.mjs";
import { Ago, Presence } from "../../ui/elements.mjs";
import { Values } from "./values.mjs";

/** `children` stand before the name: the box that selects it. */
export function Tile({ id, selected = false, children }) {
  const device = deviceSignal(id).value;
  if (!device) return null;
  const { last_reading: read, last_seen: seen } = device.presence;
  const word = presenceWord(device.presence, now.value);
  const last = read ?? seen;
  return html`<li class="card tile ${word} ${selected ? "selected" : ""}" data-id=${id}>
    <div class="tile-head">${children}<a class="device-name" href=${deviceHref(id)}>${device.name}</a>
      <${Presence} word=${word} /></div>
    <${Values} device=${device} />
    <p class="tile-foot">
      <span class="labels">${Object.entries(device.labels).map(
        ([key, value]) => html`<span class="chip" title="${key}: ${value}">${key}: ${value}</span>`,
      )}</span>
      ${last === null ? t("devices.never") : html`<${Ago} ts=${last} />`}
    </p>
  </li>`;
}
