// Whether a part of the page is looked at: what is not need not be fetched.
import { useEffect, useState } from "../../vendor/preact.mjs";

/** Whether an element is on screen, or nearly. */
export function useVisible(ref) {
  const [visible, setVisible] = useState(false);
  useEffect(() => {
    // On a busy machine several changes come at once, the last one last.
    const onChange = (entries) => setVisible(entries.at(-1).isIntersecting);
    const seen = new IntersectionObserver(onChange, { rootMargin: "200px" });
    seen.observe(ref.current);
    return () => seen.disconnect();
  }, []);
  return visible;
}
