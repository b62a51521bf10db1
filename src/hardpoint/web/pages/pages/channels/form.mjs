// A channel's form: the boxes of its kind. What is secret is never sent here, so an empty box leaves it as it is.
import { html, useState } from "../../vendor/preact.mjs";
import { api } from "../../core/api.mjs";
import { t } from "../../core/i18n.mjs";
import { Dialog } from "../../ui/dialog.mjs";
import { Problem } from "../../ui/elements.mjs";

/** Kind → its boxes, in order: `{name, type, needed, secret, sample, options}`. The server knows the rest. */
export const BOXES = {
  ntfy: [
    { name: "topic", needed: true, sample: "greenhouse-alerts" },
    { name: "server", type: "url", sample: "https://ntfy.sh" },
    { name: "token", secret: true },
  ],
  telegram: [
    { name: "token", secret: true, needed: true, sample: "123456:ABC-DEF…" },
    { name: "chat", needed: true, sample: "@greenhouse" },
    { name: "server", type: "url", sample: "https://api.telegram.org" },
  ],
  webhook: [
    { name: "url", type: "url", needed: true, sample: "https://example.org/hooks/alerts" },
    { name: "secret", secret: true },
    { name: "headers", secret: true, type: "headers", sample: "Authorization: Bearer …" },
  ],
  mail: [
    { name: "to", type: "list", needed: true, sample: "ada@example.org, bob@example.org" },
    { name: "sender", type: "email", needed: true, sample: "alerts@example.org" },
    { name: "host", needed: true, sample: "smtp.example.org" },
    { name: "port", type: "number", sample: "587" },
    { name: "security", options: ["starttls", "tls", "none"] },
    { name: "user", autocomplete: "off" },
    { name: "password", secret: true },
  ],
  apprise: [{ name: "url", secret: true, needed: true, sample: "slack://TokenA/TokenB/TokenC" }],
};

/** A setting as its box shows it. */
export function settingText(box, value) {
  if (value === null || value === undefined || typeof value === "object" ? !Array.isArray(value) : false) return "";
  return Array.isArray(value) ? value.join(", ") : String(value);
}

/** What a box's text says to the API; `undefined` for an empty one, which leaves the setting alone. */
export function settingOf({ type, secret }, text) {
  const typed = secret && type !== "headers" ? text : text.trim();
  if (typed === "") return undefined;
  if (type === "number") return Number(typed);
  if (type === "list") return typed.split(/[\s,;]+/).filter(Boolean);
  if (type === "headers") {
    return Object.fromEntries(
      typed.split("\n").map((line) => {
        const at = line.indexOf(":");
        return at < 0 ? [line.trim(), ""] : [line.slice(0, at).trim(), line.slice(at + 1).trim()];
      }),
    );
  }
  return typed;
}

const INPUT_TYPES = { url: "url", email: "email", number: "number" };

function Box({ box, value, known, wrong, onInput }) {
  const id = `channel-${box.name}`;
  const shared = {
    id,
    class: "input",
    value,
    required: box.needed && !(box.secret && known),
    "aria-invalid": wrong,
    onInput: (e) => onInput(e.target.value),
  };
  const placeholder = box.secret && known ? t("channel.unchanged") : box.sample;
  return html`<div class="field">
    <label for=${id}>${t(`channel.box_${box.name}`)}${!box.needed && html` <span class="hint">${t("channel.optional")}</span>`}</label>
    ${
      box.options
        ? html`<select ...${shared}>${box.options.map((each) => html`<option value=${each}>${t(`channel.security_${each}`)}</option>`)}</select>`
        : box.type === "headers"
          ? html`<textarea rows="2" placeholder=${placeholder} spellcheck=${false} ...${shared} />`
          : html`<input type=${box.secret ? "password" : (INPUT_TYPES[box.type] ?? "text")} placeholder=${placeholder}
            autocomplete=${box.secret ? "new-password" : "off"} autocapitalize="none" spellcheck=${false} ...${shared} />`
    }
  </div>`;
}

/** Make a channel, or with `channel` change one. `onSaved` gets it as the API gives it. */
export function ChannelDialog({ kinds, channel, onSaved, onClose }) {
  const [kind, setKind] = useState(channel?.kind ?? kinds.find((each) => each in BOXES));
  const [name, setName] = useState(channel?.name ?? "");
  const boxes = BOXES[kind] ?? [];
  const [texts, setTexts] = useState(() =>
    Object.fromEntries(boxes.map((box) => [box.name, settingText(box, channel?.settings[box.name])])),
  );
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  const textOf = (box) => texts[box.name] || (box.options?.[0] ?? "");

  async function submit(event) {
    event.preventDefault();
    setBusy(true);
    setError(null);
    const settings = Object.fromEntries(
      boxes.map((box) => [box.name, settingOf(box, textOf(box))]).filter(([, value]) => value !== undefined),
    );
    // A box that was emptied takes its setting away; a secret's was empty all along.
    if (channel) {
      for (const box of boxes)
        if (!box.secret && channel.settings[box.name] && !(box.name in settings)) settings[box.name] = null;
    }
    try {
      const body = { name: name.trim(), settings };
      const saved = channel
        ? await api("PATCH", `/channels/${encodeURIComponent(channel.id)}`, body)
        : await api("POST", "/channels", { ...body, kind });
      onSaved(saved);
      onClose();
    } catch (problem) {
      setError(problem);
      setBusy(false);
    }
  }

  return html`<${Dialog} title=${t(channel ? "channel.edit_title" : "channel.new_title")} onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      ${
        !channel &&
        html`<div class="chips-scroll"><div class="segments" role="group" aria-label=${t("channel.kind")}>
        ${kinds
          .filter((each) => each in BOXES)
          .map(
            (each) => html`<button type="button" key=${each} aria-pressed=${each === kind}
            onClick=${() => (setKind(each), setTexts({}), setError(null))}>${t(`channel.kind_${each}`)}</button>`,
          )}
      </div></div>`
      }
      <p class="hint">${t(`channel.about_${kind}`)}</p>
      <div class="field">
        <label for="channel-name">${t("channel.name")}</label>
        <input class="input" id="channel-name" data-focus required maxlength="128" autocomplete="off" value=${name}
          placeholder=${t("channel.name_sample")} aria-invalid=${error?.field === "name"}
          onInput=${(e) => setName(e.target.value)} />
      </div>
      ${boxes.map(
        (box) => html`<${Box} key="${kind}.${box.name}" box=${box} value=${textOf(box)} known=${Boolean(channel)}
        wrong=${error?.field === `settings.${box.name}`} onInput=${(text) => setTexts((before) => ({ ...before, [box.name]: text }))} />`,
      )}
      ${error && html`<${Problem} error=${error} />`}
      <div class="dialog-foot">
        <button type="button" class="button" onClick=${onClose}>${t("action.cancel")}</button>
        <button class="button primary" disabled=${busy || !name.trim()}>${t("action.save")}</button>
      </div>
    </form>
  <//>`;
}
