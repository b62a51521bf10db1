// Whether a part of the page is looked at: what is not need not be fetched.
import { useEffect, useState } from "../../vendor/preact.mjs";

/** Whether an element is on screen, or nearly. */
export function useVisible(ref) {
  const [visible, setVisible] = useState(false);
  useEffect(() => {
    const seen = new IntersectionObserver(([entry]) => setVisible(entry.isIntersecting), { rootMargin: "200px" });
    seen.observe(ref.current);
    return () => seen.disconnect();
  }, []);
  return visible;
}
