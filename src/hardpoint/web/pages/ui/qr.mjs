// A text as a QR code, drawn here: what is in it may be a secret, which no server's log should see.
import { html, useMemo } from "../vendor/preact.mjs";
import { encode } from "../vendor/uqr.mjs";

/** Modules of quiet around it, as ISO/IEC 18004 §6.3.8 wants. */
const QUIET = 4;

/** The dark modules of a boolean matrix as one path, a stroke for each run of a row. */
export function pathOf(rows) {
  let path = "";
  rows.forEach((row, y) => {
    for (let x = 0; x < row.length; x += 1) {
      if (!row[x]) continue;
      const start = x;
      while (row[x + 1]) x += 1;
      path += `M${start + QUIET} ${y + QUIET}h${x + 1 - start}v1H${start + QUIET}z`;
    }
  });
  return path;
}

/** `label` says what is in it, for who cannot see it. Dark on light in either theme: not every camera reads the other. */
export function QrCode({ text, label }) {
  const { size, path } = useMemo(() => {
    const { data } = encode(text, { ecc: "M", border: 0 });
    return { size: data.length + 2 * QUIET, path: pathOf(data) };
  }, [text]);
  return html`<svg class="qr" role="img" aria-label=${label} viewBox="0 0 ${size} ${size}" shape-rendering="crispEdges">
    <rect width=${size} height=${size} fill="#fff" /><path d=${path} fill="#000" /></svg>`;
}
