// What a bell offers: silence for a time, of an alert, of its rule or of its device.
import { clock, day, now } from "../../core/format.mjs";
import { t } from "../../core/i18n.mjs";

export const HOUR_S = 3_600;

/** The choices: silent for a time, or, where something is, not any more. `mute(seconds)`. */
export const muteItems = (muted, mute) => [
  { label: t("alert.mute_1h"), icon: "bell-off", run: () => mute(HOUR_S) },
  { label: t("alert.mute_8h"), icon: "bell-off", run: () => mute(8 * HOUR_S) },
  ...(muted ? [{ label: t("alert.unmute"), icon: "bell", run: () => mute(0) }] : []),
];

/** Until when: of today the clock, of later the day as well. */
export const until = (ts) => (day(ts) === day(now.value) ? clock(ts) : `${day(ts)} ${clock(ts)}`);
