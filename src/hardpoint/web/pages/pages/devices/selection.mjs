// What is done to many devices at once: a label, a command, silence, a file, the end. Each is one call a device, a few at a time.
import { html, useState } from "../../vendor/preact.mjs";
import { api, apiHref, devicePath, mayAs } from "../../core/api.mjs";
import { deviceSignal } from "../../core/devices.mjs";
import { t } from "../../core/i18n.mjs";
import { Dialog } from "../../ui/dialog.mjs";
import { Icon, IconButton, Problem } from "../../ui/elements.mjs";
import { Menu } from "../../ui/menu.mjs";
import { showDialog } from "../../ui/shell.mjs";
import { toast, toastError } from "../../ui/toast.mjs";
import { HOUR_S, muteItems } from "../alerts/mute.mjs";
import { commandBody } from "../device/commands.mjs";
import { select, selected } from "./table.mjs";

const AT_ONCE = 3; // as with sparklines: a click must find a connection free
const NAMED = 8;
const TTL_S = 600;
/** Servers and proxies take 8 KiB of a request's line. */
const MOST_ADDRESS = 7_500;
const DAY_S = 24 * HOUR_S;
const SPANS_S = { hour: HOUR_S, day: DAY_S, week: 7 * DAY_S, month: 30 * DAY_S };

/** Run `act(id)` for each; `told(done)` after each. Resolves to the ids that failed, with their errors. */
async function each(ids, act, told) {
  const failed = new Map();
  const waiting = [...ids];
  let done = 0;
  async function work() {
    for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) {
      await act(id).catch((error) => failed.set(id, error));
      told((done += 1));
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return failed;
}

const name = (id) => deviceSignal(id).peek()?.name ?? id;

/** `{busy, done, failed, run}` of work on the selected devices. What failed stays selected, for another try. */
function useWork(ids) {
  const [state, setState] = useState({ busy: false, done: 0, failed: new Map() });
  async function run(act) {
    setState({ busy: true, done: 0, failed: new Map() });
    const failed = await each(ids, act, (done) => setState((before) => ({ ...before, done })));
    setState({ busy: false, done: ids.length, failed });
    select(
      ids.filter((id) => !failed.has(id)),
      false,
    );
    return failed;
  }
  return { ...state, run };
}

function Failures({ failed }) {
  return [...failed].slice(0, NAMED).map(([id, error]) => html`<${Problem} key=${id} error=${error}>(${name(id)})<//>`);
}

function Foot({ work, total, label, danger = false, disabled = false, onClose }) {
  return html`<div class="dialog-foot">
    ${work.busy && html`<span class="soft number" role="status">${t("selection.progress", { done: work.done, total })}
    </span>`}
    <button type="button" class="button" onClick=${onClose}>${t("action.cancel")}</button>
    <button class="button primary ${danger ? "danger" : ""}" disabled=${work.busy || disabled}>${label}</button>
  </div>`;
}

const relabel = (id, labels) => api("PATCH", devicePath(id), { labels });

/** Give them a label, or take it away with an empty value. Can be undone. */
function LabelDialog({ ids, onClose }) {
  const work = useWork(ids);
  const [key, setKey] = useState("");
  const [value, setValue] = useState("");
  async function submit(event) {
    event.preventDefault();
    const before = new Map(ids.map((id) => [id, deviceSignal(id).peek()?.labels ?? {}]));
    const changed = (labels) => {
      const { [key.trim()]: _, ...others } = labels;
      return value.trim() ? { ...others, [key.trim()]: value.trim() } : others;
    };
    const failed = await work.run((id) => relabel(id, changed(before.get(id))));
    if (failed.size) return;
    onClose();
    const undo = () => each(ids, (id) => relabel(id, before.get(id)), () => {});
    toast(t("selection.labelled", { n: ids.length }), { action: { label: t("action.undo"), run: undo } });
  }
  return html`<${Dialog} title=${t("selection.label_title", { n: ids.length })} onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      <${Failures} failed=${work.failed} />
      <div class="field"><label for="label-key">${t("selection.label_key")}</label>
        <input class="input mono" id="label-key" data-focus required maxlength="128" pattern="[^:=\\s]+" value=${key}
          autocomplete="off" autocapitalize="none" onInput=${(e) => setKey(e.target.value)} /></div>
      <div class="field"><label for="label-value">${t("selection.label_value")}</label>
        <input class="input mono" id="label-value" maxlength="128" autocomplete="off" value=${value}
          onInput=${(e) => setValue(e.target.value)} />
        <span class="hint">${t("selection.label_hint")}</span></div>
      <${Foot} work=${work} total=${ids.length} label=${t("action.save")} disabled=${!key.trim()} onClose=${onClose} />
    </form>
  <//>`;
}

/** Send them a command; it waits for those that are away. */
function CommandDialog({ ids, onClose }) {
  const work = useWork(ids);
  const [method, setMethod] = useState("");
  const [params, setParams] = useState("");
  const [error, setError] = useState(null);
  async function submit(event) {
    event.preventDefault();
    const body = commandBody(method, params, TTL_S);
    setError(body ? null : { text: t("command.bad_params") });
    if (!body) return;
    const failed = await work.run((id) => api("POST", devicePath(id, "/commands"), body));
    if (failed.size) return;
    onClose();
    toast(t("selection.sent", { n: ids.length, method: body.method }));
  }
  return html`<${Dialog} title=${t("selection.command_title", { n: ids.length })} onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      ${error && html`<${Problem} error=${error} />`}
      <${Failures} failed=${work.failed} />
      <div class="field"><label for="many-method">${t("command.method")}</label>
        <input class="input mono" id="many-method" data-focus required maxlength="64" autocomplete="off" value=${method}
          autocapitalize="none" spellcheck=${false} onInput=${(e) => setMethod(e.target.value)} /></div>
      <div class="field"><label for="many-params">${t("command.params")}</label>
        <input class="input mono" id="many-params" autocomplete="off" autocapitalize="none" spellcheck=${false}
          placeholder=${t("command.params_example")} value=${params} onInput=${(e) => setParams(e.target.value)} />
        <span class="hint">${t("selection.command_hint")}</span></div>
      <${Foot} work=${work} total=${ids.length} label=${t("command.send")} disabled=${!method.trim()}
        onClose=${onClose} />
    </form>
  <//>`;
}

/** Remove them for ever, after typing how many they are. */
function RemoveDialog({ ids, onClose }) {
  const work = useWork(ids);
  const [typed, setTyped] = useState("");
  async function submit(event) {
    event.preventDefault();
    const failed = await work.run((id) => api("DELETE", devicePath(id)));
    if (failed.size) return;
    onClose();
    toast(t("selection.removed", { n: ids.length }));
  }
  return html`<${Dialog} title=${t("selection.remove_title", { n: ids.length })} onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      <${Failures} failed=${work.failed} />
      <div class="notice bad"><${Icon} name="triangle-alert" /><span>${t("selection.remove_text")}</span></div>
      <ul class="named">${ids.slice(0, NAMED).map((id) => html`<li key=${id}>${name(id)}</li>`)}
        ${ids.length > NAMED && html`<li class="soft">${t("selection.more", { n: ids.length - NAMED })}</li>`}</ul>
      <div class="field"><label for="remove-count">${t("selection.remove_type", { n: ids.length })}</label>
        <input class="input" id="remove-count" data-focus inputmode="numeric" autocomplete="off" value=${typed}
          onInput=${(e) => setTyped(e.target.value)} /></div>
      <${Foot} work=${work} total=${ids.length} label=${t("delete.submit")} danger
        disabled=${typed.trim() !== String(ids.length)} onClose=${onClose} />
    </form>
  <//>`;
}

/** Their readings as one file. */
function ExportDialog({ ids, onClose }) {
  const [span, setSpan] = useState("day");
  const query = new URLSearchParams({ from: String(Date.now() - SPANS_S[span] * 1_000), agg: "raw", format: "csv" });
  ids.forEach((id) => query.append("device", id));
  const address = apiHref(`/readings?${query}`);
  return html`<${Dialog} title=${t("selection.export_title", { n: ids.length })} onClose=${onClose}>
    <div class="stack">
      <div class="field"><label for="export-span">${t("selection.export_span")}</label>
        <select class="input" id="export-span" data-focus value=${span} onChange=${(e) => setSpan(e.target.value)}>
          ${Object.keys(SPANS_S).map((each) => html`<option key=${each} value=${each}>${t(`selection.span_${each}`)}</option>`)}
        </select></div>
      ${
        address.length > MOST_ADDRESS &&
        html`<div class="notice bad" role="alert"><${Icon} name="circle-alert" /><span>${t("selection.export_many")}</span></div>`
      }
      <div class="dialog-foot">
        <button type="button" class="button" onClick=${onClose}>${t("action.cancel")}</button>
        ${
          address.length <= MOST_ADDRESS &&
          html`<a class="button primary" href=${address} download="readings.csv" onClick=${onClose}>
            <${Icon} name="download" />${t("selection.export")}</a>`
        }
      </div>
    </div>
  <//>`;
}

/** Nobody is told of their alerts for a time; each row keeps its alerts. */
async function mute(ids, forS) {
  const failed = await each(ids, (id) => api("POST", devicePath(id, "/mute"), { for_s: forS }), () => {});
  const done = ids.length - failed.size;
  if (done) toast(t(forS ? "selection.muted" : "selection.unmuted", { n: done }));
  if (failed.size) toastError([...failed.values()][0]);
}

/** At the foot of the page while something is selected. */
export function SelectionBar() {
  const ids = [...selected.value];
  const show = (Kind) => () => showDialog(() => Kind, { ids });
  return html`<div class="selection-bar" role="region" aria-label=${t("selection.label")}>
    <strong class="number" role="status">${t("selection.count", { n: ids.length })}</strong>
    <button type="button" class="button small" onClick=${show(LabelDialog)}>
      <${Icon} name="pencil" />${t("selection.to_label")}</button>
    <button type="button" class="button small" onClick=${show(CommandDialog)}>
      <${Icon} name="send" />${t("selection.to_command")}</button>
    <button type="button" class="button small" onClick=${show(ExportDialog)}>
      <${Icon} name="download" />${t("selection.to_export")}</button>
    <${Menu} icon="bell-off" label=${t("selection.to_mute")} items=${muteItems(true, (forS) => mute(ids, forS))} />
    ${
      mayAs("admin") &&
      html`<button type="button" class="button small danger" onClick=${show(RemoveDialog)}>
      <${Icon} name="trash-2" />${t("selection.to_remove")}</button>`
    }
    <${IconButton} icon="x" label=${t("selection.none")} onClick=${() => select(ids, false)} />
  </div>`;
}
