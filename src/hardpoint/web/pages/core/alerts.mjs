// The alerts that fire now, kept live. Fetched after the first view, which needs only their number.
import { effect } from "../vendor/preact.mjs";
import { api, session } from "./api.mjs";
import { fetchLive, firingAlerts, onLive } from "./live.mjs";

/** The API's most in one page; more alerts than this at once are told as "200+". */
export const MOST_FIRING = 200;

/** Fetch them anew. Rejects with ApiError. */
export function loadFiring() {
  return fetchLive(
    () => api("GET", `/alerts?state=firing&limit=${MOST_FIRING}`),
    (page) => (firingAlerts.value = page.items),
    { alert: applyAlert },
  );
}

/** Put an alert as the API gives it among those that fire, or take it out when it has ended. */
export function applyAlert(alert) {
  const others = (firingAlerts.peek() ?? []).filter((each) => each.id !== alert.id);
  const fires = alert.state === "firing";
  firingAlerts.value = fires ? [...others, alert].sort((a, b) => b.id - a.id).slice(0, MOST_FIRING) : others;
}

const refetch = () => session.peek() && loadFiring().catch(() => {}); // away again: the next reset fetches them

onLive("alert", applyAlert);
onLive("reset", refetch);
// Alerts go with their device, and nobody is told of each.
onLive("device", ({ action }) => action === "removed" && refetch());
effect(() => {
  const who = session.value;
  if (who && !who.setup_needed) refetch();
  else firingAlerts.value = null;
});
