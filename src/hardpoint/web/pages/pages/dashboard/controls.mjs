// Cards that do something: each sends a command or writes a shared attribute, and shows what became of it.
import { html, useEffect, useRef, useState } from "../../vendor/preact.mjs";
import { api, devicePath, mayAs } from "../../core/api.mjs";
import { deviceSignal } from "../../core/devices.mjs";
import { duration, valueParts } from "../../core/format.mjs";
import { t } from "../../core/i18n.mjs";
import { onLive } from "../../core/live.mjs";
import { Icon } from "../../ui/elements.mjs";

const FINAL = new Set(["done", "failed", "expired", "cancelled"]);
const TTL_S = 60;
/** How long a second press is waited for: long enough for who moves from key to key. */
const SURE_WITHIN_MS = 10_000;
const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

/**
 * What a card's last act has come to: `{state, took, reason}` or `null`, whether it is still under way, and what was
 * asked for then. `act(value)` begins one.
 */
function useAct({ device, act }) {
  const [life, setLife] = useState(null);
  const current = useRef(null);
  const begun = useRef(0);
  const told = useRef(0);

  const show = (command) => {
    // A life only goes forward: an answer to `GET` may be older than what the stream has told since it was asked for.
    const count = command.steps?.length ?? 0;
    if (count < told.current) return;
    told.current = count;
    const last = command.steps?.at(-1);
    const took = command.state === "queued" ? null : (last.at - command.created) / 1_000;
    setLife((before) => ({ ...before, state: command.state, took, reason: last?.reason ?? null }));
  };
  useEffect(
    () => onLive("command", (command) => command.device === device && command.id === current.current && show(command)),
    [device],
  );

  async function run(value) {
    const number = ++begun.current;
    current.current = null; // what the last act comes to is not shown as this one's
    setLife({ state: "sending", value });
    try {
      if (act.does === "attribute") {
        await api("PUT", devicePath(device, "/attributes?scope=shared"), { [act.key]: value });
        if (number === begun.current) setLife({ state: "written", value });
        return;
      }
      const params = act.param ? { [act.param]: value } : (value ?? undefined);
      const { id } = await api("POST", devicePath(device, "/commands"), { method: act.method, params, ttl_s: TTL_S });
      if (number !== begun.current) return; // another act since: its life is shown
      current.current = id;
      told.current = 0;
      // What happened before this answer came was told to nobody who knew the number.
      const command = await api("GET", `/commands/${id}`);
      if (number === begun.current) show(command);
    } catch (error) {
      if (number === begun.current) setLife({ state: "refused", value, reason: error.text });
    }
  }
  const underWay = life !== null && !FINAL.has(life.state) && !["refused", "written"].includes(life.state);
  return [life, underWay, run];
}

/** The words under a control: which step its act has reached, and how long that took. */
function Life({ life }) {
  if (!life) return html`<p class="card-age" role="status"></p>`;
  const bad = ["failed", "expired", "cancelled", "refused"].includes(life.state);
  const good = ["done", "written"].includes(life.state);
  return html`<p class="card-age life-word ${bad ? "bad" : good ? "good" : ""}" role="status" title=${life.reason ?? ""}>
    <${Icon} name=${bad ? "circle-alert" : good ? "check" : "refresh-cw"} spin=${!bad && !good} />
    ${t(`act.${life.state}`)}${life.took ? html` <span class="number">${duration(life.took)}</span>` : ""}
    ${bad && life.reason && html`<span class="life-reason">${life.reason}</span>`}</p>`;
}

/** The value of a shared attribute, for a card that has no reading to tell the state by. */
function useShared({ device, act, key }) {
  const [value, setValue] = useState(undefined);
  const asks = act.does === "attribute" && !key && mayAs("viewer");
  useEffect(() => {
    if (!asks) return undefined;
    const load = () =>
      api("GET", devicePath(device, "/attributes?scope=shared")).then(
        (found) => setValue(found[act.key]),
        () => {}, // the state is then not known, and is shown so
      );
    load();
    return onLive("reset", load);
  }, [asks, device, act.key]);
  return value;
}

/** The present state: what is asked for while that is under way, else what the device says, else what was asked last. */
function usePresent(card, life, underWay) {
  const latest = deviceSignal(card.device).value?.latest[card.key]?.value;
  const shared = useShared(card);
  if (underWay) return life.value;
  if (latest !== undefined) return latest;
  return ["done", "written"].includes(life?.state) ? life.value : shared;
}

function Switch({ card, present, may, run }) {
  const on = present !== undefined && same(present, card.on);
  const known = on || (present !== undefined && same(present, card.off));
  return html`<div class="control"><button type="button" role="switch" class="switch" aria-checked=${on}
    aria-label=${card.title || card.key || card.act.method || card.act.key} disabled=${!may}
    onClick=${() => run(on ? card.off : card.on)}><i></i></button>
    <span class="control-word">${known ? t(on ? "act.on" : "act.off") : t("act.unknown")}</span></div>`;
}

function Button({ card, may, underWay, run }) {
  const [sure, setSure] = useState(false);
  useEffect(() => {
    const timer = sure && setTimeout(() => setSure(false), SURE_WITHIN_MS);
    return () => clearTimeout(timer);
  }, [sure]);
  const press = () => {
    if (card.ask && !sure) setSure(true);
    else (setSure(false), run(card.value));
  };
  return html`<div class="control"><button type="button" class="button ${sure ? "danger primary" : "primary"} act-button"
    disabled=${!may || underWay} onClick=${press}>${sure ? t("act.sure") : card.title || card.act.method || card.act.key}
    </button></div>`;
}

function Slider({ card, present, may, run }) {
  const [held, setHeld] = useState(null);
  const value = held ?? (typeof present === "number" ? present : card.low);
  const [text, unit] = valueParts(
    card.key || card.act.key || card.act.param || "",
    value,
    deviceSignal(card.device).value?.fields,
  );
  return html`<div class="control slider"><input type="range" min=${card.low} max=${card.high} step=${card.step}
    value=${value} disabled=${!may} aria-label=${card.title || card.key || card.act.method || card.act.key}
    aria-valuetext="${text} ${unit}" onInput=${(event) => setHeld(Number(event.target.value))}
    onChange=${(event) => (setHeld(null), run(Number(event.target.value)))} />
    <output class="number">${text}<small>${unit}</small></output></div>`;
}

function Choice({ card, present, may, run }) {
  return html`<div class="control" role="group" aria-label=${card.title || card.key || card.act.method || card.act.key}>
    <div class="segments wrapped">${card.values.map((value) => html`<button type="button"
      aria-pressed=${present !== undefined && same(value, present)} disabled=${!may} onClick=${() => run(value)}>
      ${typeof value === "string" ? value : JSON.stringify(value)}</button>`)}</div></div>`;
}

const KINDS = { switch: Switch, button: Button, slider: Slider, choice: Choice };

/** A control with its life. Whoever may only look sees the state and cannot touch it. */
export function Control({ card }) {
  const [life, underWay, run] = useAct(card);
  const present = usePresent(card, life, underWay);
  const device = deviceSignal(card.device).value;
  const Kind = KINDS[card.kind];
  const may = mayAs("operator") && Boolean(device);
  return html`<${Kind} card=${card} present=${present} may=${may} underWay=${underWay} run=${run} /><${Life} life=${life} />`;
}
