// Rows and groups on the clipboard, as their JSON: between two builders, two tabs, or a mail and a builder.

const SHELF = "ripen.condition"; // for browsers that do not let a page read or write the clipboard

const HEADS = ["all", "any", "not", "field", "did", "has", "sequence"];

function isNode(found) {
  return typeof found === "object" && found !== null && !Array.isArray(found) && Object.keys(found).some((key) => HEADS.includes(key) || key.startsWith("in_"));
}

/** The node that a text is, null when it is none. */
export function nodeOf(text) {
  try {
    const found = JSON.parse(text);
    return isNode(found) ? found : null;
  } catch {
    return null;
  }
}

function shelve(text) {
  try {
    localStorage.setItem(SHELF, text);
  } catch {
    // no storage: the clipboard itself must do
  }
}

export async function putOnClipboard(node) {
  const text = JSON.stringify(node, null, 2);
  shelve(text);
  await navigator.clipboard?.writeText(text).catch(() => {});
}

/** The same inside a copy or cut event. */
export function putIntoEvent(event, node) {
  const text = JSON.stringify(node, null, 2);
  shelve(text);
  event.clipboardData.setData("text/plain", text);
  event.preventDefault();
}

/** What was copied last: from the clipboard if the browser lets us, else what a builder copied. */
export async function takeFromClipboard() {
  const text = await navigator.clipboard?.readText?.().catch(() => "");
  try {
    return nodeOf(text || "") ?? nodeOf(localStorage.getItem(SHELF) ?? "");
  } catch {
    return null;
  }
}
