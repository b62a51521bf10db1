// What happened to a device while its charts were drawn: alerts as shaded spans, commands and new connections as marks.
import { useEffect, useState } from "../../vendor/preact.mjs";
import { api, devicePath } from "../../core/api.mjs";
import { clock } from "../../core/format.mjs";
import { t } from "../../core/i18n.mjs";
import { onLive } from "../../core/live.mjs";
import { alertText } from "../alerts/words.mjs";

/** As many as one can tell apart on a chart, and more. */
const MOST = 100;
const SOON_MS = 500;
/** How near the crosshair must be to a mark for its words to be shown. */
export const NEAR_PX = 8;

/** `[{kind: "alert", from, to, key, text} | {kind: "command" | "session", from, text}]` of what the API answers. */
export const marksOf = (alerts, commands, sessions) => [
  ...alerts.map((alert) => ({
    kind: "alert",
    from: alert.since,
    to: alert.resolved ?? Infinity,
    key: alert.key ?? "",
    text: `${alert.name}: ${alertText(alert)}`,
  })),
  ...commands.map((command) => ({ kind: "command", from: command.created, text: command.method })),
  // The first one that is known is no new one: before it nothing is known.
  ...sessions.slice(0, -1).map((session) => ({ kind: "session", from: session.from, text: t("marker.session", { dialect: session.dialect }) })),
];

/** The marks of a device, kept as they happen. Where they cannot be had the charts are there without. */
export function useMarks(id) {
  const [marks, setMarks] = useState([]);
  useEffect(() => {
    let [current, timer] = [true, null];
    async function load() {
      timer = null;
      const ask = (path) => api("GET", path).then((answer) => answer.items, () => []);
      const [alerts, commands, sessions] = await Promise.all([
        ask(`/alerts?${new URLSearchParams({ device: id, limit: String(MOST) })}`),
        ask(devicePath(id, `/commands?limit=${MOST}`)),
        ask(devicePath(id, "/sessions")),
      ]);
      if (current) setMarks(marksOf(alerts, commands, sessions));
    }
    const soon = (event) => event.device === id && (timer ??= setTimeout(load, SOON_MS));
    load();
    const undo = [onLive("reset", load), ...["alert", "command", "presence"].map((name) => onLive(name, soon))];
    return () => ((current = false), clearTimeout(timer), undo.forEach((each) => each()));
  }, [id]);
  return marks;
}

/** Those between two times that are about one of these keys, or about no key. */
export const marksWithin = (marks, from, to, keys) =>
  marks.filter((mark) => mark.from < to && (mark.to ?? mark.from) > from && (!mark.key || keys.includes(mark.key)));

/** Which marks there are, for who cannot see them; "" for none. */
export function marksSaid(marks) {
  const count = (kind) => marks.filter((mark) => mark.kind === kind).length;
  return ["alert", "command", "session"]
    .filter(count)
    .map((kind) => t(`marker.count_${kind}`, { n: count(kind) }))
    .join(" ");
}

/** The words of the mark nearest to a time, where one is within `reachMs`; `null` where none is. */
export function markAt(marks, at, reachMs) {
  const away = (mark) => (mark.to === undefined ? Math.abs(mark.from - at) : mark.from <= at && at <= mark.to ? reachMs : Infinity);
  const nearest = marks.reduce((best, mark) => (away(mark) <= reachMs && (!best || away(mark) < away(best)) ? mark : best), null);
  return nearest && `${nearest.text} · ${clock(nearest.from, true)}`;
}
