// Commands: send one, and see its life: queued → sent → delivered → done, each step with its time.
import { html, useEffect, useId, useState } from "../../vendor/preact.mjs";
import { api, devicePath, mayAs } from "../../core/api.mjs";
import { absolute, clock, duration } from "../../core/format.mjs";
import { t } from "../../core/i18n.mjs";
import { fetchLive, onLive } from "../../core/live.mjs";
import { route, setQuery } from "../../core/router.mjs";
import { Icon, IconButton, Problem } from "../../ui/elements.mjs";
import { toastError } from "../../ui/toast.mjs";
import { pinCommand } from "./pinning.mjs";

const LISTED = 20;
const LIFETIMES_S = [60, 600, 3_600, 86_400];
const LIFE = ["queued", "sent", "delivered", "done"];
const FINAL = new Set(["done", "failed", "expired", "cancelled"]);

/** A word as a value: JSON where it is some, else the text itself. */
export function scalar(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Parameters as typed: nothing, JSON, or `key=value` words. Throws SyntaxError where it is none of these. */
export function parseParams(text) {
  const typed = text.trim();
  if (!typed) return undefined;
  const words = typed.match(/[A-Za-z_][\w.-]*=(?:"(?:\\.|[^"\\])*"|\S+)/g);
  if (words && words.join(" ") === typed.replace(/\s+/g, " ")) {
    return Object.fromEntries(
      words.map((word) => [word.slice(0, word.indexOf("=")), scalar(word.slice(word.indexOf("=") + 1))]),
    );
  }
  return JSON.parse(typed);
}

/** The body of a command as typed, for the API; `null` where its parameters cannot be read. */
export function commandBody(method, params, lifetimeS) {
  try {
    return { method: method.trim(), params: parseParams(params), ttl_s: lifetimeS };
  } catch {
    return null;
  }
}

/** The newest commands of a device, kept live; `null` until they are there. */
function useCommands(id) {
  const [commands, setCommands] = useState(null);
  const put = (command) =>
    setCommands((before) =>
      [command, ...(before ?? []).filter((each) => each.id !== command.id)]
        .sort((a, b) => b.id - a.id)
        .slice(0, LISTED),
    );
  useEffect(() => {
    const apply = (command) => command.device === id && put(command);
    const ask = () => api("GET", devicePath(id, `/commands?limit=${LISTED}`));
    const load = () => fetchLive(ask, (page) => setCommands(page.items), { command: apply }).catch(toastError);
    load();
    const undo = [onLive("reset", load), onLive("command", apply)];
    return () => undo.forEach((each) => each());
  }, [id]);
  return commands;
}

/** The steps as dots on a line, with the time each took. */
function Life({ command }) {
  const at = new Map(command.steps.map((step) => [step.state, step]));
  const end = FINAL.has(command.state) && command.state !== "done" ? command.state : null;
  // What was skipped is not shown afterwards: a line device's answer says "delivered" and "done" at once.
  const states = FINAL.has(command.state) ? command.steps.map((step) => step.state) : LIFE;
  return html`<ol class="life">
    ${states.map((state) => {
      const step = at.get(state);
      const took = step && state !== "queued" ? `+${duration((step.at - command.created) / 1000)}` : "";
      return html`<li key=${state} class="${step ? "reached" : ""} ${state === end ? "ended" : ""}"
        title=${step ? [absolute(step.at), step.reason].filter(Boolean).join(" · ") : undefined}>
        <span>${t(`command.${state}`)}</span><small class="number">${step ? took || clock(step.at, true) : ""}</small>
      </li>`;
    })}
  </ol>`;
}

function CommandRow({ device, command, may }) {
  const reason = command.state !== "done" && FINAL.has(command.state) && command.steps.at(-1).reason;
  const cancel = () => api("DELETE", `/commands/${command.id}`).catch(toastError);
  return html`<li class="command">
    <div class="command-head">
      <code>${command.method}${command.params !== null && command.params !== undefined && html` <span class="faint">
        ${JSON.stringify(command.params)}</span>`}</code>
      <span class="command-state ${command.state}">${t(`command.${command.state}`)}</span>
      ${may && html`<${IconButton} icon="pin" small label=${t("pin.command", { method: command.method })}
        onClick=${() => pinCommand(device, command)} />`}
      ${may && !FINAL.has(command.state) && html`<${IconButton} icon="x" small label=${t("command.cancel")}
        onClick=${cancel} />`}
    </div>
    <${Life} command=${command} />
    ${reason && html`<p class="command-reason">${reason}</p>`}
    ${command.state === "done" && command.result !== null && html`<pre class="command-result">
      ${JSON.stringify(command.result)}</pre>`}
  </li>`;
}

function CommandForm({ id, methods }) {
  const listId = useId();
  const [method, setMethod] = useState("");
  const [params, setParams] = useState("");
  const [ttl, setTtl] = useState(LIFETIMES_S[0]);
  const [error, setError] = useState(null);

  // The palette's "send a command to …" leads here.
  const asked = route.value.query.get("do") === "command";
  useEffect(() => {
    if (!asked) return;
    setQuery({ do: null });
    document.getElementById("command-method").focus();
  }, [asked]);

  async function submit(event) {
    event.preventDefault();
    const body = commandBody(method, params, ttl);
    setError(body ? null : { text: t("command.bad_params") });
    if (!body) return;
    try {
      await api("POST", devicePath(id, "/commands"), body);
      setMethod("");
      setParams("");
    } catch (problem) {
      setError(problem);
    }
  }

  return html`<form class="command-form" onSubmit=${submit}>
    <div class="command-line">
      <input class="input mono" id="command-method" list=${listId} required maxlength="128" autocomplete="off"
        autocapitalize="none" spellcheck=${false}
        aria-label=${t("command.method")} placeholder=${t("command.method")} value=${method}
          onInput=${(e) => setMethod(e.target.value)} />
      <datalist id=${listId}>${methods.map((each) => html`<option value=${each} />`)}</datalist>
      <button class="button primary" disabled=${!method.trim()}><${Icon} name="send" />${t("command.send")}</button>
    </div>
    <div class="command-line">
      <input class="input mono" autocomplete="off" autocapitalize="none" spellcheck=${false}
        aria-label=${t("command.params")}
        placeholder=${t("command.params_example")} value=${params} onInput=${(e) => setParams(e.target.value)} />
      <select class="input" aria-label=${t("command.ttl")} title=${t("command.ttl")} value=${ttl}
        onChange=${(e) => setTtl(Number(e.target.value))}>
        ${LIFETIMES_S.map((each) => html`<option value=${each}>${duration(each)}</option>`)}
      </select>
    </div>
    ${error && html`<${Problem} error=${error} />`}
  </form>`;
}

/** The command box and the ledger's newest page. */
export function Commands({ device }) {
  const { id } = device;
  const commands = useCommands(id);
  const may = mayAs("operator");
  const methods = [...new Set((commands ?? []).map((command) => command.method))];
  return html`<section class="card" aria-labelledby="commands-title">
    <header class="card-head"><h2 id="commands-title">${t("command.title")}</h2></header>
    ${may && html`<${CommandForm} id=${id} methods=${methods} />`}
    ${
      commands?.length
        ? html`<ul class="commands">${commands.map((command) => html`<${CommandRow} key=${command.id} device=${device} command=${command}
          may=${may} />`)}</ul>`
        : commands && html`<p class="card-note">${t("command.none")}</p>`
    }
  </section>`;
}
