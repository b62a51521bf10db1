// The labels of a chart's axis.
import { BYTE_STEPS, byteStep, converted, fixed } from "../core/format.mjs";

/** Labels of an axis whose marks are `increment` apart: just the digits that tell them apart. */
export function axisLabels(stored, unit, storedIncrement) {
  const marks = stored.map((mark) => converted(mark, unit));
  const increment = converted(storedIncrement, unit) - converted(0, unit);
  const step = byteStep(Math.max(...marks.map(Math.abs)), unit);
  const scale = 1000 ** step;
  const digits = Math.min(9, Math.max(0, -Math.floor(Math.log10(increment / scale) + 1e-9)));
  // 2.5 apart needs one digit more than its power of ten says.
  const needed =
    [digits, digits + 1].find((n) => Number.isInteger(Number(((increment / scale) * 10 ** n).toFixed(6)))) ?? digits;
  return marks.map((mark) => fixed(needed).format(mark / scale) + (BYTE_STEPS[step] && ` ${BYTE_STEPS[step]}`));
}
