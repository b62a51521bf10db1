// Style sheets that only some pages need.
const loaded = new Map();

/** Load a style sheet beside this module's folder, once. Resolves when it applies; also when it fails, so that a page
 * without its finery still opens. */
export function loadStyle(path) {
  const address = new URL(`../${path}`, import.meta.url).href;
  if (!loaded.has(address)) {
    loaded.set(
      address,
      new Promise((resolve) => {
        const link = document.createElement("link");
        link.rel = "stylesheet";
        link.href = address;
        link.onload = link.onerror = resolve;
        document.head.append(link);
      }),
    );
  }
  return loaded.get(address);
}
