// The latest values of a device, the way lists show them: a few, each with the last hour as a line.
import { html, signal } from "../../vendor/preact.mjs";
import { labelOf, unitOf, valueParts } from "../../core/format.mjs";
import { loadModule } from "../../core/modules.mjs";

const METRICS = 3;

// Decoration, and so not among what the first view waits for.
const Spark = signal(null);
loadModule("ui/spark.mjs").then(
  (module) => (Spark.value = module.Spark),
  () => {}, // the values stand there without
);

/** The keys worth a place in a row: numbers whose unit the name tells, other numbers, then the rest. */
export function headlineKeys(latest) {
  const rank = (key) =>
    typeof latest[key].value !== "number" ? 2 : unitOf(key) && !unitOf(key).startsWith("B") ? 0 : 1;
  return Object.keys(latest)
    .sort((a, b) => rank(a) - rank(b) || a.localeCompare(b))
    .slice(0, METRICS);
}

function Metric({ id, name, latest, index, fields }) {
  const [value, unit] = valueParts(name, latest.value, fields);
  return html`<div class="metric">
    <div class="metric-text">
      <span class="metric-key" title=${name}>${labelOf(name, fields)}</span>
      <span class="metric-value" title=${value}>${value}${unit && html`<small>${unit}</small>`}</span>
    </div>
    ${
      typeof latest.value === "number" &&
      Spark.value &&
      html`<${Spark.value} id=${id} name=${name} latest=${latest} series=${index} />`
    }
  </div>`;
}

/** A device's headline values. */
export function Values({ device }) {
  return html`<div class="metrics">${headlineKeys(device.latest).map((key, i) => html`<${Metric} key=${key}
    id=${device.id} name=${key} latest=${device.latest[key]} index=${i} fields=${device.fields} />`)}</div>`;
}
