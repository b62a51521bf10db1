// A dashboard by its link: for a screen in a hall, or for somebody without an account.
import { effect, html, useEffect, useState } from "../vendor/preact.mjs";
import { api, useBase } from "../core/api.mjs";
import { deviceSignal } from "../core/devices.mjs";
import { t } from "../core/i18n.mjs";
import { liveStatus, onLive, startLive, stopLive } from "../core/live.mjs";
import { loadStyle } from "../core/styles.mjs";
import { Empty, Loading, Mark } from "../ui/elements.mjs";
import { Kiosk } from "./dashboard.mjs";

await loadStyle("css/dashboards.css");

const RETRY_MS = 5_000;

function show(board) {
  for (const device of board.devices) {
    deviceSignal(device.id).value = { labels: {}, created: 0, ...device };
  }
  return board;
}

/** `{board, error}`: opened by the secret behind the `#`, then fetched anew whenever it changes or the stream breaks. */
function useShared() {
  const [state, setState] = useState({ board: null, error: null });
  useEffect(() => {
    let timer = null;
    let opened = false;
    const done = (board) => setState({ board: show(board), error: null });
    const fail = (error) => {
      if (error.status === 401) {
        stopLive();
        setState({ board: null, error });
      } else {
        setState((before) => ({ ...before, error }));
        clearTimeout(timer);
        timer = setTimeout(load, RETRY_MS); // the server is away: nobody may stand by to press a button
      }
    };
    async function load() {
      try {
        if (opened) {
          done(await api("GET", ""));
          return;
        }
        const board = await api("POST", "/shared", { secret: location.hash.slice(1) });
        opened = true;
        useBase(`/api/shared/${board.link}`);
        done(board);
        startLive();
      } catch (error) {
        fail(error);
      }
    }
    load();
    const undo = [
      onLive("reset", load),
      onLive("dashboard", load),
      effect(() => void (liveStatus.value === "lost" && load())), // a stream that is refused says no more than that
      () => clearTimeout(timer),
    ];
    return () => undo.forEach((each) => each());
  }, []);
  return state;
}

export default function SharedPage() {
  const { board, error } = useShared();
  useEffect(() => void (document.title = `${board?.name ?? "Hardpoint"}`), [board?.name]);
  if (board) return html`<${Kiosk} name=${board.name} cards=${board.cards} onLeave=${null} />`;
  if (error?.status === 401) {
    return html`<main class="gate"><div class="gate-card">
      <span class="brand gate-brand"><${Mark} size=${28} />Hardpoint</span>
      <${Empty} icon="link" heading="h1" title=${t("shared.over_title")}><p>${t("shared.over_text")}</p><//>
    </div></main>`;
  }
  return html`<main><${Loading} /></main>`;
}
