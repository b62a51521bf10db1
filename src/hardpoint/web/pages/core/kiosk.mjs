// A screen on a wall: nothing but the dashboard, kept awake, and by itself up to date.
import { onLive } from "./live.mjs";

const HIDE_CURSOR_MS = 3_000;

/** This page's own version: the hash in the address of its files. */
const OURS = /\/ui\/([^/]+)\//.exec(new URL(import.meta.url).pathname)?.[1] ?? "";

/** Load the page anew where the server has newer pages. Nobody stands by to press a button. */
async function reloadWhenNewer() {
  try {
    const shell = await (await fetch(location.pathname, { cache: "no-store" })).text();
    if (OURS && shell.includes("/ui/") && !shell.includes(`/ui/${OURS}/`)) location.reload();
  } catch {
    // Away again: the next reset asks again.
  }
}

/** Keep the screen on while the page is seen. Browsers offer it over HTTPS and on localhost only. */
function keepAwake() {
  let lock = null;
  const take = async () => {
    if (document.hidden || !navigator.wakeLock) return;
    try {
      lock = await navigator.wakeLock.request("screen");
    } catch {
      // Refused, on a low battery say: the device's own settings hold.
    }
  };
  take();
  document.addEventListener("visibilitychange", take); // it is lost whenever the page is hidden
  return () => {
    document.removeEventListener("visibilitychange", take);
    lock?.release();
  };
}

function hideCursor() {
  const root = document.documentElement;
  let timer = null;
  const move = () => {
    root.classList.remove("still");
    clearTimeout(timer);
    timer = setTimeout(() => root.classList.add("still"), HIDE_CURSOR_MS);
  };
  move();
  addEventListener("pointermove", move);
  return () => {
    removeEventListener("pointermove", move);
    clearTimeout(timer);
    root.classList.remove("still");
  };
}

/** Whether this browser can be asked to keep the screen on. */
export const canKeepAwake = () => Boolean(navigator.wakeLock);

/** Begin; returns the undo. */
export function beginKiosk() {
  const undo = [keepAwake(), hideCursor(), onLive("reset", reloadWhenNewer)];
  return () => undo.forEach((each) => each());
}
