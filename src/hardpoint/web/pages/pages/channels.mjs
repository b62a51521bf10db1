// The ways to tell people, each with a test at hand, and what was told lately.
import { html, useEffect, useState } from "../vendor/preact.mjs";
import { api, mayAs } from "../core/api.mjs";
import { absolute } from "../core/format.mjs";
import { t } from "../core/i18n.mjs";
import { onLive } from "../core/live.mjs";
import { Ago, Empty, Icon, IconButton, Loading, Problem } from "../ui/elements.mjs";
import { showDialog } from "../ui/shell.mjs";
import { toastError } from "../ui/toast.mjs";
import { AlertsFrame } from "./alerts/frame.mjs";
import { State } from "./alerts/marks.mjs";
import { ChannelDialog, settingText } from "./channels/form.mjs";

const LISTED = 20;
const SETTLED_MS = 1_500;

const channelPath = (id, rest = "") => `/channels/${encodeURIComponent(id)}${rest}`;

/** Where a channel leads, of what is no secret. */
const whereText = ({ settings }) =>
  settingText({}, settings.to ?? settings.topic ?? settings.chat ?? settings.url ?? "");

/** Send a test, and what the receiver said to it, beside the button. */
function Test({ channel }) {
  const [state, setState] = useState({ busy: false, said: null, error: null });
  async function test() {
    setState({ busy: true, said: null, error: null });
    try {
      const { said } = await api("POST", channelPath(channel.id, "/test"));
      setState({ busy: false, said, error: null });
    } catch (error) {
      setState({ busy: false, said: null, error });
    }
  }
  const { busy, said, error } = state;
  // Why a receiver refused is its own words: no catalogue has them.
  const answer =
    said !== null ? t("channel.test_said", { said }) : error && t("channel.test_failed", { why: error.message });
  return html`<span class="test-answer ${error ? "bad" : "good"}" role="status">
      ${answer && html`<${Icon} name=${error ? "circle-alert" : "check"} /><span>${answer}</span>`}</span>
    <button type="button" class="button small" disabled=${busy} onClick=${test}>
      <${Icon} name=${busy ? "refresh-cw" : "send"} spin=${busy} />${t("channel.test")}</button>`;
}

function Channel({ channel, kinds, onSaved, onRemoved }) {
  const edit = () => showDialog(() => ChannelDialog, { kinds, channel, onSaved });
  const remove = () => api("DELETE", channelPath(channel.id)).then(() => onRemoved(channel.id), toastError);
  return html`<li class="channel">
    <div class="rule-main">
      <strong>${channel.name}</strong>
      <p class="rule-facts hint"><span class="chip">${t(`channel.kind_${channel.kind}`)}</span>
        <span class="where" title=${whereText(channel)}>${whereText(channel)}</span></p>
    </div>
    <${Test} channel=${channel} />
    ${
      mayAs("admin") &&
      html`<span class="channel-acts">
        <${IconButton} icon="pencil" small label=${t("channel.edit", { name: channel.name })} onClick=${edit} />
        <${IconButton} icon="trash-2" small label=${t("channel.remove", { name: channel.name })} onClick=${remove} />
      </span>`
    }
  </li>`;
}

/** The newest news on its way, kept as it goes on. */
function useDeliveries() {
  const [items, setItems] = useState([]);
  useEffect(() => {
    let timer = null;
    const load = () =>
      api("GET", `/deliveries?limit=${LISTED}`).then(
        (page) => setItems(page.items),
        () => {},
      ); // shown as it was
    load();
    // News goes out a moment after its alert.
    const later = () => (clearTimeout(timer), (timer = setTimeout(load, SETTLED_MS)));
    const undo = [onLive("alert", later), onLive("reset", load), () => clearTimeout(timer)];
    return () => undo.forEach((each) => each());
  }, []);
  return items;
}

function Deliveries({ names }) {
  const items = useDeliveries();
  if (!items.length) return null;
  return html`<section class="card standings" aria-labelledby="deliveries-title">
    <header class="card-head"><h2 id="deliveries-title">${t("delivery.title")}</h2></header>
    <ul class="facts-list">${items.map(
      ({ id, channel, event, state, created, attempts, steps }) => html`<li key=${id}>
        <span class="fact-name">${names.get(channel) ?? channel}</span>
        <${State} state=${state} />
        <span class="soft fact-why">${t(`delivery.${event.replace(" ", "_")}`)}
          ${attempts > 1 && html` · ${t("delivery.attempts", { n: attempts })}`}
          ${steps.at(-1)?.reason && html` · ${steps.at(-1).reason}`}</span>
        <span class="faint" title=${absolute(created)}><${Ago} ts=${created} /></span>
      </li>`,
    )}</ul>
  </section>`;
}

export default function ChannelsPage() {
  const [page, setPage] = useState(null);
  const [error, setError] = useState(null);
  useEffect(() => void api("GET", "/channels").then(setPage, setError), []);
  const onSaved = (saved) =>
    setPage((before) => ({
      ...before,
      items: before.items.some(({ id }) => id === saved.id)
        ? before.items.map((each) => (each.id === saved.id ? saved : each))
        : [...before.items, saved],
    }));
  const onRemoved = (id) => setPage((before) => ({ ...before, items: before.items.filter((each) => each.id !== id) }));
  const add =
    mayAs("admin") &&
    page &&
    html`<button type="button" class="button primary"
      onClick=${() => showDialog(() => ChannelDialog, { kinds: page.kinds, onSaved })}>
      <${Icon} name="plus" />${t("channel.add")}</button>`;
  return html`<${AlertsFrame} action=${page?.items.length > 0 && add}>
    ${error && html`<${Problem} error=${error} />`}
    ${
      page === null
        ? !error && html`<${Loading} />`
        : page.items.length
          ? html`<ul class="card channels">${page.items.map(
              (channel) => html`<${Channel} key=${channel.id} channel=${channel}
            kinds=${page.kinds} onSaved=${onSaved} onRemoved=${onRemoved} />`,
            )}</ul>
            <${Deliveries} names=${new Map(page.items.map(({ id, name }) => [id, name]))} />`
          : html`<div class="card"><${Empty} icon="send" title=${t("channel.none_title")}>
            <p>${t(add ? "channel.none_text" : "channel.none_may")}</p>${add}<//></div>`
    }
  <//>`;
}
