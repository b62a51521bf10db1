// Everybody's sessions, for an admin: who is signed in, from where, and a way to end it.
import { html, useEffect, useState } from "../vendor/preact.mjs";
import { api } from "../core/api.mjs";
import { Loading, Problem } from "../ui/elements.mjs";
import { toastError } from "../ui/toast.mjs";
import { PeopleFrame } from "./people/frame.mjs";
import { Sessions } from "./people/sessions.mjs";

export default function SessionsPage() {
  const [items, setItems] = useState(null);
  const [error, setError] = useState(null);
  useEffect(() => void api("GET", "/sessions?user=*").then((page) => setItems(page.items), setError), []);
  const end = ({ id }) =>
    api("DELETE", `/sessions/${id}`).then(() => setItems((all) => all.filter((each) => each.id !== id)), toastError);
  return html`<${PeopleFrame}>
    ${error && html`<${Problem} error=${error} />`}
    ${items ? html`<${Sessions} items=${items} people onEnd=${end} />` : !error && html`<${Loading} />`}
  <//>`;
}
