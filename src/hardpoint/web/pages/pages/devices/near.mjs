// Parts of a long list are there while they are near the screen, and an empty height otherwise.
import { useEffect, useRef, useState } from "../../vendor/preact.mjs";

/** Rows of margin, so that a wheel does not outrun them. */
const MARGIN = "400px";

// One observer for all parts.
const onSight = new WeakMap();
const sight = new IntersectionObserver(
  (entries) => entries.forEach((entry) => onSight.get(entry.target)?.(entry.isIntersecting)),
  { rootMargin: MARGIN },
);

/** `{ref, near, style}` of a part: with `near` false it is to be left empty. `guess` is its height before it was seen. */
export function useNear(initially, guess) {
  const ref = useRef(null);
  const [near, setNear] = useState(initially);
  const height = useRef(guess);
  useEffect(() => {
    const part = ref.current;
    onSight.set(part, (inSight) => {
      if (!inSight && part.firstElementChild) height.current = part.offsetHeight;
      setNear(inSight);
    });
    sight.observe(part);
    return () => sight.unobserve(part);
  }, []);
  return { ref, near, style: near ? {} : { height: `${height.current}px` } };
}

/** `ids` in parts of so many, as `[start, ids]`. */
export function inParts(ids, size) {
  const found = [];
  for (let start = 0; start < ids.length; start += size) found.push([start, ids.slice(start, start + size)]);
  return found;
}
