// The dialog that makes or changes a card: what kind, of which device, and what that kind needs.
import { html, useEffect, useId, useState } from "../../vendor/preact.mjs";
import { deviceIds, deviceSignal, loadDevices } from "../../core/devices.mjs";
import { t } from "../../core/i18n.mjs";
import { Dialog } from "../../ui/dialog.mjs";
import { Icon, IconButton, Problem } from "../../ui/elements.mjs";
import { scalar } from "../device/commands.mjs";

const KINDS = ["value", "gauge", "chart", "switch", "button", "slider", "choice", "text"];
const SPANS_S = [900, 3_600, 21_600, 86_400, 604_800, 2_592_000];
const MOST_SERIES = 8;
const shown = (value) => (value === undefined || value === null ? "" : typeof value === "string" ? value : JSON.stringify(value));

/** What a card of a kind begins with, beside its id. */
const FRESH = {
  value: { device: "", key: "" },
  gauge: { device: "", key: "", low: 0, high: 100, warn: null, bad: null },
  chart: { series: [{ device: "", key: "" }], span_s: 3_600, size: "m" },
  switch: { device: "", key: "", act: { does: "command", method: "", param: "" }, on: true, off: false },
  button: { device: "", key: "", act: { does: "command", method: "", param: "" }, value: null, ask: false },
  slider: { device: "", key: "", act: { does: "command", method: "", param: "value" }, low: 0, high: 100, step: 1 },
  choice: { device: "", key: "", act: { does: "command", method: "", param: "value" }, values: [] },
  text: { text: "", size: "m" },
};

function Field({ label, hint, children }) {
  const id = useId();
  return html`<div class="field"><label for=${id}>${label}</label>${children(id)}
    ${hint && html`<span class="hint">${hint}</span>`}</div>`;
}

function Text({ label, value, onChange, list, ...rest }) {
  return html`<${Field} label=${label}>${(id) => html`<input class="input" id=${id} autocomplete="off" list=${list}
    spellcheck=${false} value=${value} onInput=${(event) => onChange(event.target.value)} ...${rest} />`}<//>`;
}

/** A number, or `null` for an empty box. */
function Number_({ label, value, onChange, ...rest }) {
  return html`<${Text} label=${label} type="number" step="any" value=${value ?? ""}
    onChange=${(text) => onChange(text === "" ? null : Number(text))} ...${rest} />`;
}

function DeviceSelect({ label = t("editor.device"), value, onChange }) {
  const devices = (deviceIds.value ?? []).map((id) => deviceSignal(id).value).filter(Boolean);
  return html`<${Field} label=${label}>${(id) => html`<select class="input" id=${id} required value=${value}
    onChange=${(event) => onChange(event.target.value)}>
    <option value="">${t("editor.choose")}</option>
    ${value && !devices.some((device) => device.id === value) && html`<option value=${value}>${value}</option>`}
    ${devices.map((device) => html`<option value=${device.id}>${device.name}</option>`)}</select>`}<//>`;
}

/** A key of the device: one it has reported, or one it will. */
function KeyInput({ device, value, onChange, label = t("editor.key"), ...rest }) {
  const listId = useId();
  const keys = Object.keys(deviceSignal(device).value?.latest ?? {}).sort();
  return html`<${Text} label=${label} value=${value} onChange=${onChange} list=${listId} maxlength="64"
    pattern="[A-Za-z_][A-Za-z0-9_.\\-]{0,63}" ...${rest} />
    <datalist id=${listId}>${keys.map((key) => html`<option value=${key} />`)}</datalist>`;
}

/** The word that a form keeps apart from the card's value: what is typed is a value only when it is done. */
function ValueInput({ label, value, onChange }) {
  const [text, setText] = useState(shown(value));
  return html`<${Text} label=${label} value=${text}
    onChange=${(next) => (setText(next), onChange(next === "" ? null : scalar(next)))} />`;
}

function ActFields({ card, set }) {
  const { act } = card;
  const change = (more) => set({ act: { ...act, ...more } });
  const choose = (does) =>
    set({ act: does === "command" ? { does, method: act.key ?? "", param: "" } : { does, key: act.method ?? "" } });
  return html`<fieldset class="editor-act"><legend>${t("editor.does")}</legend>
    <div class="segments" role="group" aria-label=${t("editor.does")}>${["command", "attribute"].map(
      (does) => html`<button type="button" key=${does} aria-pressed=${act.does === does} onClick=${() => choose(does)}>
        ${t(`editor.does_${does}`)}</button>`,
    )}</div>
    ${
      act.does === "command"
        ? html`<div class="editor-two"><${Text} label=${t("command.method")} value=${act.method} required maxlength="128"
            onChange=${(method) => change({ method })} />
          ${card.kind !== "button" && html`<${Text} label=${t("editor.param")} value=${act.param ?? ""} maxlength="64"
            onChange=${(param) => change({ param })} />`}</div>`
        : html`<${Text} label=${t("editor.attribute")} value=${act.key} required maxlength="64"
          onChange=${(key) => change({ key })} />`
    }</fieldset>`;
}

function SeriesFields({ card, set }) {
  const change = (n, more) => set({ series: card.series.map((each, i) => (i === n ? { ...each, ...more } : each)) });
  const add = () => set({ series: [...card.series, { ...card.series.at(-1) }] });
  return html`${card.series.map(
    (each, n) => html`<div class="editor-series" key=${n}>
      <${DeviceSelect} value=${each.device} onChange=${(device) => change(n, { device })} />
      <${KeyInput} device=${each.device} value=${each.key} required onChange=${(key) => change(n, { key })} />
      ${card.series.length > 1 && html`<${IconButton} icon="x" label=${t("editor.remove_series", { n: n + 1 })}
        onClick=${() => set({ series: card.series.filter((_, i) => i !== n) })} />`}</div>`,
  )}
  ${card.series.length < MOST_SERIES && html`<div><button type="button" class="button small" onClick=${add}>
    <${Icon} name="plus" />${t("editor.add_series")}</button></div>`}
  <${Field} label=${t("editor.span")}>${(id) => html`<select class="input" id=${id} value=${card.span_s}
    onChange=${(event) => set({ span_s: Number(event.target.value) })}>
    ${[...new Set([...SPANS_S, card.span_s])].map((span) => html`<option value=${span}>${spanWords(span)}</option>`)}
    </select>`}<//>`;
}

const spanWords = (seconds) =>
  seconds < 3_600
    ? t("editor.minutes", { n: Math.round(seconds / 60) })
    : seconds < 172_800
      ? t("editor.hours", { n: Math.round(seconds / 3_600) })
      : t("editor.days", { n: Math.round(seconds / 86_400) });

function Ends({ card, set, more }) {
  return html`<div class="editor-two"><${Number_} label=${t("editor.low")} value=${card.low} required
      onChange=${(low) => set({ low })} />
    <${Number_} label=${t("editor.high")} value=${card.high} required onChange=${(high) => set({ high })} />
    ${more}</div>`;
}

const FIELDS = {
  value: () => null,
  gauge: ({ card, set }) => html`<${Ends} card=${card} set=${set} more=${html`
    <${Number_} label=${t("editor.warn")} value=${card.warn} onChange=${(warn) => set({ warn })} />
    <${Number_} label=${t("editor.bad")} value=${card.bad} onChange=${(bad) => set({ bad })} />`} />`,
  chart: SeriesFields,
  switch: ({ card, set }) => html`<${ActFields} card=${card} set=${set} /><div class="editor-two">
    <${ValueInput} label=${t("editor.on")} value=${card.on} onChange=${(on) => set({ on })} />
    <${ValueInput} label=${t("editor.off")} value=${card.off} onChange=${(off) => set({ off })} /></div>`,
  button: ({ card, set }) => html`<${ActFields} card=${card} set=${set} />
    <${ValueInput} label=${t(card.act.does === "command" ? "command.params" : "editor.value")} value=${card.value}
      onChange=${(value) => set({ value })} />
    <label class="check"><input type="checkbox" checked=${card.ask}
      onChange=${(event) => set({ ask: event.target.checked })} />${t("editor.ask")}</label>`,
  slider: ({ card, set }) => html`<${ActFields} card=${card} set=${set} /><${Ends} card=${card} set=${set} more=${html`
    <${Number_} label=${t("editor.step")} value=${card.step} required min="0.000001" onChange=${(step) => set({ step })} />`} />`,
  choice: ({ card, set }) => html`<${ActFields} card=${card} set=${set} />
    <${ValuesInput} values=${card.values} onChange=${(values) => set({ values })} />`,
  text: ({ card, set }) => html`<${Field} label=${t("editor.text")}>${(id) => html`<textarea class="input" id=${id} rows="5"
    maxlength="4000" required onInput=${(event) => set({ text: event.target.value })}>${card.text}</textarea>`}<//>`,
};

function ValuesInput({ values, onChange }) {
  const [text, setText] = useState(values.map(shown).join(", "));
  const put = (next) => {
    setText(next);
    onChange(next.split(/[,，]/).map((word) => word.trim()).filter(Boolean).map(scalar));
  };
  return html`<${Text} label=${t("editor.values")} value=${text} required onChange=${put} />`;
}

/** `card` with only an id is a new one; `onDone` is given the card. */
export function CardDialog({ card: given, onDone, onClose }) {
  const fresh = !given.kind;
  const [card, setCard] = useState(() => (fresh ? { size: "s", title: "", kind: "value", ...FRESH.value, ...given } : given));
  const [error, setError] = useState(null);
  const set = (more) => setCard((before) => ({ ...before, ...more }));
  useEffect(() => void (deviceIds.peek() === null && loadDevices().catch(setError)), []);
  const choose = (kind) => {
    const { device, key } = card.series?.[0] ?? card;
    const kept = { device: device ?? "", key: key ?? "" };
    const made = { ...FRESH[kind] };
    if (kind === "chart") made.series = [kept];
    else if (kind !== "text") Object.assign(made, kept);
    setCard({ size: "s", title: card.title, ...made, id: card.id, kind });
  };
  function submit(event) {
    event.preventDefault();
    if (card.kind === "choice" && !card.values.length) return;
    onDone({ ...card, title: card.title.trim() });
    onClose();
  }
  const control = Boolean(card.act);
  const Fields = FIELDS[card.kind];
  return html`<${Dialog} title=${t(fresh ? "board.add_card" : "editor.title")} wide onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      ${error && html`<${Problem} error=${error} />`}
      ${
        fresh &&
        html`<div class="segments wrapped" role="group" aria-label=${t("editor.kind")}>
        ${KINDS.map((kind, n) => html`<button type="button" key=${kind} data-focus=${n === 0 ? "" : undefined}
          aria-pressed=${card.kind === kind} onClick=${() => choose(kind)}>${t(`card.${kind}`)}</button>`)}</div>`
      }
      ${
        "device" in card &&
        html`<div class="editor-two"><${DeviceSelect} value=${card.device} onChange=${(device) => set({ device })} />
        ${card.kind !== "button" && html`<${KeyInput} device=${card.device} value=${card.key}
          label=${t(control ? "editor.state_key" : "editor.key")} required=${!control}
          onChange=${(key) => set({ key })} />`}</div>`
      }
      <${Fields} key=${card.kind} card=${card} set=${set} />
      <${Text} label=${t("editor.card_title")} value=${card.title} maxlength="128" onChange=${(title) => set({ title })} />
      <div class="dialog-foot">
        <button type="button" class="button" onClick=${onClose}>${t("action.cancel")}</button>
        <button class="button primary">${t(fresh ? "editor.add" : "editor.change")}</button>
      </div>
    </form>
  <//>`;
}
