// The devices as cards, for who looks at values more than at addresses. It holds thousands like the table.
import { html, useLayoutEffect, useMemo } from "../../vendor/preact.mjs";
import { mayAs } from "../../core/api.mjs";
import { deviceSignal } from "../../core/devices.mjs";
import { t } from "../../core/i18n.mjs";
import { inParts, useNear } from "./near.mjs";
import { onListKey, select, selected } from "./table.mjs";
import { Tile } from "./tile.mjs";

/** A multiple of one, two, three and four: however many columns fit, a part ends with a full row. */
const PART_TILES = 12;
const TILE_PX = 160;
const GUESSED_COLUMNS = 3;

function Choice({ id }) {
  const name = deviceSignal(id).value?.name ?? id;
  return html`<input type="checkbox" class="tile-select" aria-label=${t("devices.select", { name })}
    checked=${selected.value.has(id)} onChange=${(event) => select([id], event.target.checked)} />`;
}

function Part({ ids, start, maySelect }) {
  const { ref, near, style } = useNear(start === 0, (ids.length / GUESSED_COLUMNS) * TILE_PX);
  return html`<ul class="tiles" ref=${ref} style=${style}>${
    near &&
    ids.map(
      (id) => html`<${Tile} key=${id} id=${id} selected=${maySelect && selected.value.has(id)}>
        ${maySelect && html`<${Choice} id=${id} />`}<//>`,
    )
  }</ul>`;
}

/** The cards of `ids` in this order. The keys of the table are theirs as well. */
export function Grid({ ids }) {
  const maySelect = mayAs("operator");
  const parts = useMemo(() => inParts(ids, PART_TILES), [ids]);
  useLayoutEffect(() => {
    document.addEventListener("keydown", onListKey);
    return () => document.removeEventListener("keydown", onListKey);
  }, []);
  return html`<div class="tile-parts">${parts.map(([start, some]) => html`<${Part} key=${start} ids=${some} start=${start}
    maySelect=${maySelect} />`)}</div>`;
}
