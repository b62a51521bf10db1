// What of a device can be pinned to a dashboard, and as what kind of card.
import { loadModule } from "../../core/modules.mjs";
import { showDialog } from "../../ui/shell.mjs";

/** The API's least and most span of a chart card, s. */
const LEAST_SPAN_S = 60;
const MOST_SPAN_S = 31 * 86_400;
/** A gauge begins with ends that its value is between: 0 to 100, or the next power of ten. */
const gaugeEnds = (value) => {
  const most = 10 ** Math.max(2, Math.ceil(Math.log10(Math.abs(value) || 1)));
  return { low: value < 0 ? -most : 0, high: most };
};

const pin = (device, cards) =>
  showDialog(async () => (await loadModule("ui/pin.mjs")).PinDialog, { cards, usual: device.name });

/** A chart of these keys; of one key also its value or a gauge of it. */
export function pinChart(device, keys, spanMs) {
  const span_s = Math.min(MOST_SPAN_S, Math.max(LEAST_SPAN_S, Math.round(spanMs / 1_000)));
  const series = keys.map((key) => ({ device: device.id, key }));
  const cards = [{ kind: "chart", size: "m", title: "", series, span_s }];
  if (keys.length === 1) {
    const one = { size: "s", title: "", device: device.id, key: keys[0] };
    cards.push({ kind: "value", ...one }, { kind: "gauge", ...one, ...gaugeEnds(device.latest[keys[0]].value), warn: null, bad: null });
  }
  return pin(device, cards);
}

export const pinValue = (device, key) => pin(device, [{ kind: "value", size: "s", title: "", device: device.id, key }]);

/** A button that sends this command again. */
export const pinCommand = (device, { method, params }) =>
  pin(device, [
    {
      kind: "button",
      size: "s",
      title: method,
      device: device.id,
      key: "",
      act: { does: "command", method, param: "" },
      value: params ?? null,
      ask: false,
    },
  ]);
