// The page that is on screen, on the phone in the other hand: its address as a QR code.
import { html } from "../vendor/preact.mjs";
import { t } from "../core/i18n.mjs";
import { Dialog } from "./dialog.mjs";
import { Code, Icon } from "./elements.mjs";
import { QrCode } from "./qr.mjs";

const LOOPBACK = /^(localhost|127\.|\[?::1)/;

/** `path` is where the phone is to go, on the host that this page was reached by. */
export function PhoneDialog({ path, onClose }) {
  const address = location.origin + path;
  return html`<${Dialog} title=${t("phone.title")} onClose=${onClose}>
    <${QrCode} text=${address} label=${t("phone.label", { address })} />
    <p class="hint">${t("phone.text")}</p>
    <${Code} text=${address} />
    ${LOOPBACK.test(location.hostname) && html`<div class="notice warn"><${Icon} name="triangle-alert" /><span>
      ${t("phone.loopback", { host: location.hostname })}</span></div>`}
  <//>`;
}
