// The app API from this page: one place that sends, reads errors and knows who is signed in.
import { signal } from "../vendor/preact.mjs";
import { hasText, locale, t } from "./i18n.mjs";

const ROLES = ["viewer", "operator", "admin"];

let base = "/api";

/** Where the API is, from now on: a shared dashboard has a small one of its own. */
export const useBase = (path) => (base = path);

/** Address of a path of the API. */
export const apiHref = (path) => base + path;

/** The body of `GET /api/session`, `null` when not signed in, `undefined` until it is known. */
export const session = signal(undefined);

/** An answer that is not 2xx, or none at all (`code` "unreachable"). `field` names the input that is wrong. */
export class ApiError extends Error {
  constructor(status, { code = "internal", message = "", field = null } = {}) {
    super(message || code);
    this.status = status;
    this.code = code;
    this.field = field;
  }

  /** For the person: the server's own English sentence, or the catalogue's for this code in another language. */
  get text() {
    const key = `error.${this.code}`;
    if (hasText(key) && (locale.value !== "en" || this.status === 0)) return t(key);
    return this.message;
  }
}

/**
 * Send a request and return the decoded body (`null` for an empty one).
 * Rejects with ApiError; with the fetch's own AbortError when `signal` was aborted.
 */
export async function api(method, path, body, { signal: aborted } = {}) {
  const headers = body === undefined ? {} : { "Content-Type": "application/json" };
  let response;
  try {
    response = await fetch(apiHref(path), {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
      signal: aborted,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, { code: "unreachable", message: t("error.unreachable") });
  }
  const text = await response.text();
  const decoded = decode(text);
  if (response.ok) return decoded;
  if (response.status === 401 && session.value) session.value = null;
  throw new ApiError(response.status, decoded?.error ?? { message: `HTTP ${response.status}` });
}

function decode(text) {
  if (!text) return null;
  try {
    return JSON.parse(text);
  } catch {
    return null; // a proxy's HTML error page: the status says enough
  }
}

/** Whether whoever is signed in has this role or a higher one. */
export const mayAs = (role) => ROLES.indexOf(session.value?.user?.role) >= ROLES.indexOf(role);

/** Path of a device, with its id escaped, and what follows. */
export const devicePath = (id, rest = "") => `/devices/${encodeURIComponent(id)}${rest}`;

/** Ask who is signed in. Never rejects for "nobody". */
export async function loadSession() {
  try {
    session.value = await api("GET", "/session");
  } catch (error) {
    if (error.status !== 401) throw error;
    session.value = null;
  }
}

/** Sign in by name and password or by one-time link, or make the first account; sets the session. */
export async function signIn(body) {
  session.value = await api("POST", "/login", body);
}

export async function setUp(body) {
  session.value = await api("POST", "/setup", body);
}

export async function signOut() {
  await api("POST", "/logout");
  session.value = null;
}
