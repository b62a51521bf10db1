// Style sheets that only some pages need.
const loaded = new Map();
const RETRY_MS = 5_000;

/** Load a style sheet beside this module's folder, once. Resolves when it applies; also when it fails, so that a page
 * without its finery still opens. It is then tried again until it is there. */
export function loadStyle(path) {
  const address = new URL(`../${path}`, import.meta.url).href;
  if (!loaded.has(address)) {
    loaded.set(
      address,
      new Promise((resolve) => {
        const link = document.createElement("link");
        link.rel = "stylesheet";
        link.href = address;
        link.onload = resolve;
        link.onerror = () => {
          link.remove();
          loaded.delete(address);
          setTimeout(() => loadStyle(path), RETRY_MS);
          resolve();
        };
        document.head.append(link);
      }),
    );
  }
  return loaded.get(address);
}
