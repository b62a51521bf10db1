// What a rule's form knows of the devices it looks at: which they are, and what is set of their keys.
import { deviceIds, deviceSignal } from "../../core/devices.mjs";
import { converted } from "../../core/format.mjs";
import { t } from "../../core/i18n.mjs";
import { nameOf } from "../alerts/words.mjs";

/** Which devices a rule looks at. */
export function scopeText(scope) {
  const [kind, which] = [scope.slice(0, scope.indexOf(":")), scope.slice(scope.indexOf(":") + 1)];
  if (kind === "device") return nameOf(which);
  return scope === "all" ? t("scope.all") : t("scope.label", { label: which });
}

/** Devices of which anything is set of their keys: what `scopeFields` looks at, found once for many scopes. */
export const shapedDevices = () =>
  (deviceIds.value ?? [])
    .map((id) => deviceSignal(id).peek())
    .filter((device) => device && Object.keys(device.fields ?? {}).length);

/** What is set of the keys of a scope's devices. Where they differ nothing counts as set: no word would be true of all. */
export function scopeFields(scope, shaped = shapedDevices()) {
  if (scope.startsWith("device:")) return deviceSignal(scope.slice(7)).value?.fields ?? {};
  const found = {};
  for (const { fields } of shaped.filter((device) => inScope(scope, device))) {
    for (const [key, { label, unit }] of Object.entries(fields)) {
      const before = found[key] ?? { label, unit };
      found[key] = before.label === label && before.unit === unit ? before : {};
    }
  }
  return found;
}

/** Whether a scope takes in a device: the same rule as `concerns` in hub/rules/check.py. */
export function inScope(scope, device) {
  if (scope === "all") return true;
  if (scope.startsWith("device:")) return device.id === scope.slice(7);
  const [name, ...value] = scope.slice(6).split("=");
  return name in device.labels && (!value.length || device.labels[name] === value.join("="));
}

/** What somebody typed in the unit they see, in the stored one: `toShown` the other way. */
export const toStored = (value, unit, difference) =>
  (value - (difference ? 0 : converted(0, unit))) / (converted(1, unit) - converted(0, unit));
