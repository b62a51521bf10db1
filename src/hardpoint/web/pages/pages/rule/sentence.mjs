// The form as a sentence: the catalogue has the words and their order, this the boxes between them.
import { Fragment, html, useEffect, useId, useState } from "../../vendor/preact.mjs";
import { mayAs } from "../../core/api.mjs";
import { deviceIds, deviceSignal } from "../../core/devices.mjs";
import { shownUnit, unitOf } from "../../core/format.mjs";
import { t } from "../../core/i18n.mjs";
import { SEVERITIES } from "../alerts/marks.mjs";
import { toShown } from "../alerts/words.mjs";
import { parseParams } from "../device/commands.mjs";
import { KINDS } from "./draft.mjs";
import { inScope, scopeFields, toStored } from "./scope.mjs";

const UNITS_S = { s: 1, min: 60, h: 3_600, d: 86_400 };
const REPEATS_S = [null, 300, 900, 3_600, 21_600, 86_400];

/** Punctuation behind a box stands close to it. */
const STOP = /^[,.:，。；：]/;

/** A text of the catalogue with a box in the place of each `{name}`. */
function Clause({ text, boxes }) {
  return html`<p class="clause">${t(text)
    .split(/\{(\w+)\}/)
    .map((part, i) =>
      i % 2
        ? html`<${Fragment} key=${part}>${boxes[part]}<//>`
        : part && html`<span class=${STOP.test(part) ? "stop" : ""}>${part}</span>`,
    )}
  </p>`;
}

/** A length of time: a number and its unit. */
function Duration({ label, seconds, onInput }) {
  const unit = Object.keys(UNITS_S).findLast((name) => seconds && seconds % UNITS_S[name] === 0) ?? "min";
  return html`<span class="box-pair">
    <input class="box number" type="number" min="0" max="9999" step="any" aria-label=${label} value=${seconds / UNITS_S[unit]}
      onInput=${(e) => e.target.validity.valid && onInput(Math.round(Number(e.target.value) * UNITS_S[unit]))} />
    <select class="box" aria-label=${t("rule.unit_of", { label })} value=${unit}
      onChange=${(e) => onInput(Math.round((seconds / UNITS_S[unit]) * UNITS_S[e.target.value]))}>
      ${Object.keys(UNITS_S).map((name) => html`<option value=${name}>${t(`unit.${name}`)}</option>`)}
    </select>
  </span>`;
}

function Choice({ label, value, options, onInput, ...rest }) {
  return html`<select class="box" aria-label=${label} value=${value} onChange=${(e) => onInput(e.target.value)} ...${rest}>
    ${options.map(([each, text]) => html`<option key=${each} value=${each}>${text}</option>`)}
  </select>`;
}

/** Devices as signals hold them; those not loaded yet are left out. */
const devices = () => (deviceIds.value ?? []).map((id) => deviceSignal(id).value).filter(Boolean);

function Scope({ draft, change }) {
  const all = devices();
  const labels = [
    ...new Set(all.flatMap((device) => Object.entries(device.labels).map(([k, v]) => `${k}=${v}`))),
  ].sort();
  const scopes = [...labels.map((label) => `label:${label}`), ...all.map((device) => `device:${device.id}`)];
  const lost = draft.scope !== "all" && !scopes.includes(draft.scope) ? draft.scope : null;
  return html`<select class="box" aria-label=${t("rule.scope")} value=${draft.scope}
    onChange=${(e) => change({ scope: e.target.value })}>
    <option value="all">${t("scope.all")}</option>
    ${lost && html`<option value=${lost}>${lost.slice(lost.indexOf(":") + 1)}</option>`}
    ${
      labels.length > 0 &&
      html`<optgroup label=${t("scope.labels")}>${labels.map(
        (label) => html`<option key=${label} value="label:${label}">
        ${t("scope.label", { label })}</option>`,
      )}</optgroup>`
    }
    ${
      all.length > 0 &&
      html`<optgroup label=${t("nav.devices")}>${all.map(
        (device) => html`<option key=${device.id}
        value="device:${device.id}">${device.name}</option>`,
      )}</optgroup>`
    }
  </select>`;
}

function Key({ draft, change, wrong }) {
  const listId = useId();
  const keys = new Set(
    devices()
      .filter((device) => inScope(draft.scope, device))
      .flatMap(({ latest }) => Object.keys(latest)),
  );
  return html`<input class="box mono" list=${listId} aria-label=${t("rule.key")} autocomplete="off" autocapitalize="none"
      spellcheck=${false} maxlength="64" size=${Math.max(8, draft.key.length + 1)} value=${draft.key}
      aria-invalid=${wrong} placeholder=${draft.is === "missing" ? t("rule.any_key") : "temp"}
      onInput=${(e) => change({ key: e.target.value })} />
    <datalist id=${listId}>${[...keys].sort().map((key) => html`<option value=${key} />`)}</datalist>`;
}

const isNumber = (text) => String(text).trim() !== "" && Number.isFinite(Number(text));

/** A text that is a number, through a conversion that may leave a rounding error; any other text as it is. */
const through = (convert, text, unit, difference) =>
  isNumber(text) && shownUnit(unit) !== unit
    ? String(Number(convert(Number(text), unit, difference).toPrecision(12)))
    : text;

/**
 * A box for a number, or for any value where the condition compares. Its unit stands behind it: people type in the unit
 * they see, and the draft holds the device's own. What was typed stays as typed, and is meant in the unit that is shown
 * when the key changes.
 */
function Value({ box, draft, change, label, wrong, placeholder, fields, any = false, difference = false }) {
  const unit = unitOf(draft.key, fields);
  const seen = shownUnit(unit);
  const [typed, setTyped] = useState(null);
  const put = (text) => {
    const kept = through(toStored, text, unit, difference);
    setTyped({ text, kept, seen });
    change({ [box]: kept });
  };
  const mine = typed && typed.kept === draft[box];
  useEffect(() => void (mine && typed.seen !== seen && put(typed.text)), [seen]);
  const shown = mine ? typed.text : through(toShown, draft[box], unit, difference);
  return html`<span class="box-pair">
    <input class="box ${any ? "mono" : "number"}" type=${any ? "text" : "number"} step="any" aria-label=${label}
      value=${shown} placeholder=${placeholder && through(toShown, placeholder, unit)} aria-invalid=${wrong}
      autocomplete="off" onInput=${(e) => put(e.target.value)} />
    ${seen && (!any || isNumber(shown)) && html`<span class="box-unit">${seen}</span>`}
  </span>`;
}

function Channels({ draft, change, channels }) {
  if (!channels.length) {
    return html`<span class="soft">${t("rule.nobody")}</span>${
      mayAs("admin") && html` <a href="/alerts/channels">${t("rule.add_channel")}</a>`
    }`;
  }
  const toggle = (id) =>
    change({
      channels: draft.channels.includes(id) ? draft.channels.filter((each) => each !== id) : [...draft.channels, id],
    });
  return html`<span class="picks" role="group" aria-label=${t("rule.channels")}>${channels.map(
    ({ id, name }) => html`<button type="button" key=${id} class="pick" aria-pressed=${draft.channels.includes(id)}
      onClick=${() => toggle(id)}>${name}</button>`,
  )}</span>`;
}

/** Its parameters are kept as typed until they can be read. */
function Command({ draft, change }) {
  const typed =
    draft.typed ?? (draft.params === undefined || draft.params === null ? "" : JSON.stringify(draft.params));
  function onParams(event) {
    const text = event.target.value;
    try {
      change({ typed: text, params: parseParams(text) });
      event.target.setCustomValidity("");
    } catch {
      change({ typed: text });
      event.target.setCustomValidity(t("command.bad_params"));
    }
  }
  return html`<${Clause} text="rule.clause_command" boxes=${{
    method: html`<input class="box mono" aria-label=${t("command.method")} placeholder=${t("rule.no_command")}
      autocomplete="off" autocapitalize="none" spellcheck=${false} maxlength="64" value=${draft.method}
      onInput=${(e) => change({ method: e.target.value })} />`,
    params: html`<input class="box mono wide" aria-label=${t("command.params")} placeholder=${t("command.params_example")}
      autocomplete="off" autocapitalize="none" spellcheck=${false} disabled=${!draft.method.trim()} value=${typed}
      onInput=${onParams} />`,
  }} />`;
}

const repeatText = (seconds) => (seconds === null ? t("rule.once") : t(`repeat.${seconds}`));

/** All clauses. `wrong` is the field that the server refused, or `null`. */
export function Sentence({ draft, change, channels, wrong }) {
  const fields = scopeFields(draft.scope);
  const value = (box, label, more = {}) =>
    html`<${Value} box=${box} draft=${draft} change=${change} fields=${fields} label=${t(label)} wrong=${wrong === `when.${box}`} ...${more} />`;
  const kinds = Object.keys(KINDS).filter((kind) => kind !== "expression" || mayAs("admin") || draft.is === kind);
  const boxes = {
    key: html`<${Key} draft=${draft} change=${change} wrong=${wrong === "when.key"} />`,
    scope: html`<${Scope} draft=${draft} change=${change} />`,
    is: html`<${Choice} label=${t("rule.is")} value=${draft.is} options=${kinds.map((kind) => [kind, t(`rule.is_${kind}`)])}
      onInput=${(is) => change({ is, until: "", for_s: is === "missing" ? draft.for_s || 600 : draft.for_s })} />`,
    value: value("value", "rule.value", { any: draft.is === "equal" || draft.is === "unequal" }),
    low: value("low", "rule.low"),
    high: value("high", "rule.high"),
    by: value("by", "rule.by", { difference: true }),
    until: value("until", "rule.until", { placeholder: draft.value }),
    within: html`<${Duration} label=${t("rule.within")} seconds=${draft.within_s}
      onInput=${(within_s) => change({ within_s })} />`,
    for: html`<${Duration} label=${t("rule.for")} seconds=${draft.for_s} onInput=${(for_s) => change({ for_s })} />`,
    text: html`<input class="box mono wide" aria-label=${t("rule.is_expression")} spellcheck=${false} autocomplete="off"
      placeholder="temp > 30 and hum < 40" value=${draft.text} aria-invalid=${wrong === "when.text"}
      onInput=${(e) => change({ text: e.target.value })} />`,
    until_text: html`<input class="box mono wide" aria-label=${t("rule.until")} spellcheck=${false} autocomplete="off"
      placeholder="temp < 28" value=${draft.until} aria-invalid=${wrong === "when.until"}
      onInput=${(e) => change({ until: e.target.value })} />`,
    severity: html`<${Choice} label=${t("rule.severity")} value=${draft.severity} onInput=${(severity) => change({ severity })}
      options=${SEVERITIES.map((each) => [each, t(`severity.${each}`)])} />`,
    channels: html`<${Channels} draft=${draft} change=${change} channels=${channels} />`,
    repeat: html`<${Choice} label=${t("rule.repeat")} value=${draft.repeat_s ?? ""}
      onInput=${(text) => change({ repeat_s: text ? Number(text) : null })}
      options=${[...new Set([...REPEATS_S, draft.repeat_s])].map((each) => [each ?? "", repeatText(each)])} />`,
  };
  return html`<div class="sentence">
    <${Clause} text="rule.clause_${clauseOf(draft.is)}" boxes=${boxes} />
    <${Clause} text="rule.clause_alert" boxes=${boxes} />
    <${Clause} text="rule.clause_repeat" boxes=${boxes} />
    ${draft.is in ENDS && html`<${Clause} text=${ENDS[draft.is]} boxes=${boxes} />`}
    <${Command} draft=${draft} change=${change} />
  </div>`;
}

const ENDS = { above: "rule.clause_end_above", below: "rule.clause_end_below", expression: "rule.clause_end_text" };
const CLAUSES = {
  outside: "range",
  inside: "range",
  changing: "changing",
  missing: "missing",
  expression: "expression",
};
const clauseOf = (kind) => CLAUSES[kind] ?? "value";
