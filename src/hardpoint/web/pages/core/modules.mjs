// The modules that are fetched on first use. The server may be away just then, which must not be the end of the page.
import { api, ApiError } from "./api.mjs";
import { t, wholeCatalogue } from "./i18n.mjs";

/** Path → how often it could not be fetched. */
const failures = new Map();

/** The modules that are joined in the first one: its words were fetched with it. */
const FIRST = new Set(Object.keys(JSON.parse(document.querySelector("script[type=importmap]").textContent).imports));

// Chromium answers a repeated import of an address that failed from memory, so a retry needs an address of its own.
function attempt(path) {
  const failed = failures.get(path) ?? 0;
  const address = new URL(`../${path}${failed ? `?retry=${failed}` : ""}`, import.meta.url).href;
  const words = FIRST.has(new URL(address).pathname) ? null : wholeCatalogue();
  return Promise.all([import(address), words]).then(
    ([module]) => module,
    (error) => {
      failures.set(path, failed + 1);
      throw error;
    },
  );
}

/**
 * Import a module by its path in this tree. Rejects with ApiError: "unreachable" while the server is away, when a later
 * call may succeed, and "page_gone" when it is there and has no such module: it was updated, and only a reload helps.
 */
export async function loadModule(path) {
  try {
    return await attempt(path);
  } catch {
    await api("GET", "/session").catch((error) => {
      if (error.status === 0) throw error;
    });
  }
  try {
    return await attempt(path);
  } catch (cause) {
    throw Object.assign(new ApiError(404, { code: "page_gone", message: t("error.page_gone") }), { cause });
  }
}

/** Call when the browser has nothing else to do. */
export function whenIdle(call) {
  // Safari has no idle callback.
  if (globalThis.requestIdleCallback) requestIdleCallback(call);
  else setTimeout(call, 1_000);
}

/** Import modules when the browser has nothing else to do, so that they are there when they are wanted. */
export function loadWhenIdle(paths) {
  whenIdle(() => paths.forEach((path) => attempt(path).catch(() => {}))); // the click that wants it says so
}
