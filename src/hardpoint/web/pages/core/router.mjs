// Real paths through the history API: a link to a device can be shared, opened in a new tab, and gone back from.
import { signal } from "../vendor/preact.mjs";

const ROUTES = [
  ["welcome", /^\/welcome$/],
  ["login", /^\/login$/],
  ["home", /^\/$/],
  ["devices", /^\/devices$/],
  ["device", /^\/devices\/(?<id>[^/]+)(?:\/(?<tab>log|settings))?$/],
  ["dashboards", /^\/dashboards$/],
  ["dashboard", /^\/dashboards\/label\/(?<label>[^/]+)$/],
  ["dashboard", /^\/dashboards\/(?<id>[^/]+)$/],
  ["shared", /^\/shared$/],
  ["system", /^\/system$/],
  ["settings", /^\/settings$/],
  ["people", /^\/people$/],
  ["tokens", /^\/people\/tokens$/],
  ["sessions", /^\/people\/sessions$/],
  ["account", /^\/account$/],
  ["activity", /^\/activity$/],
  ["alerts", /^\/alerts$/],
  ["history", /^\/alerts\/history$/],
  ["rules", /^\/alerts\/rules$/],
  ["rule", /^\/alerts\/new-rule$/],
  ["rule", /^\/alerts\/rules\/(?<id>[^/]+)$/],
  ["channels", /^\/alerts\/channels$/],
  ["quiet", /^\/alerts\/quiet-hours$/],
];

/** `{name, path, params, query}` of an address; the name is "missing" where no page is. */
export function match(address) {
  const url = new URL(address, location.origin);
  const path = url.pathname.length > 1 ? url.pathname.replace(/\/+$/, "") || "/" : url.pathname;
  for (const [name, pattern] of ROUTES) {
    const found = pattern.exec(path);
    if (!found) continue;
    try {
      const params = Object.fromEntries(Object.entries(found.groups ?? {}).filter(([, v]) => v !== undefined).map(([k, v]) => [k, decodeURIComponent(v)]));
      return { name, path, params, query: url.searchParams };
    } catch {
      break; // a % that escapes nothing
    }
  }
  return { name: "missing", path, params: {}, query: url.searchParams };
}

/** Where the page is. */
export const route = signal(match(location.href));

/** Go to a path of this site; with `replace` without leaving the present one in the history. */
export function navigate(path, { replace = false } = {}) {
  if (path === location.pathname + location.search) return;
  history[replace ? "replaceState" : "pushState"](null, "", path);
  const before = route.value;
  route.value = match(path);
  if (before.name !== route.value.name || before.params.id !== route.value.params.id) scrollTo(0, 0);
}

/** Put query parameters into the address without a step in the history; `null` removes one. */
export function setQuery(changes) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "") query.delete(name);
    else query.set(name, value);
  }
  const text = query.toString();
  navigate(location.pathname + (text ? `?${text}` : ""), { replace: true });
}

/** Follow plain clicks on links of this site without loading the page anew. */
export function interceptLinks() {
  addEventListener("popstate", () => (route.value = match(location.href)));
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey)
      return;
    const link = event.target.closest?.("a[href^='/']");
    if (!link || link.target || link.hasAttribute("download")) return;
    event.preventDefault();
    navigate(link.getAttribute("href"));
  });
}

/** Address of a dashboard's page, and of the automatic one of a label (`key:value`). */
export const dashboardHref = (id) => `/dashboards/${encodeURIComponent(id)}`;
export const labelHref = (label) => `/dashboards/label/${encodeURIComponent(label)}`;

/** Address of a device's page. */
export const deviceHref = (id) => `/devices/${encodeURIComponent(id)}`;
