// Reads the builder's markup as the document of conditions. It knows no field and no operator: the server's markup has
// the document's shape, said by data attributes.
//   data-node="group"   data-join="all|any", data-negated; its nodes stand in the nearest [data-children]
//   data-node="leaf"    data-negated; data-object, data-list, data-key inside it are the leaf's keys
//   data-node="json"    a textarea that holds what rows cannot show

/** What an input or chip says; undefined when nothing is filled in. */
function said(element) {
  const text = element.dataset.value ?? element.value;
  const kind = element.dataset.as ?? "text";
  if (kind === "json") return JSON.parse(text);
  const prefix = element.dataset.prefix ?? "";
  if (text === "") return element.dataset.keep === undefined ? undefined : prefix; // a key that says what the row is stays
  if (kind === "number") {
    const number = Number(text);
    return Number.isNaN(number) ? text : number; // text where a number belongs: the server says so at the row
  }
  return prefix + text;
}

function elementsOf(container, found = []) {
  for (const child of container.children) {
    if (child.dataset.item !== undefined) found.push(keysOf(child));
    else if (child.dataset.element !== undefined) found.push(said(child) ?? null);
    else elementsOf(child, found);
  }
  return found;
}

function keysOf(container, into = {}) {
  for (const child of container.children) {
    const { object, list, key } = child.dataset;
    if (object !== undefined) into[object] = keysOf(child);
    else if (list !== undefined) {
      const elements = elementsOf(child);
      into[list] = child.dataset.single !== undefined && elements.length === 1 ? elements[0] : elements;
    } else if (key !== undefined) {
      const value = said(child);
      if (value !== undefined) into[key] = value;
    } else keysOf(child, into);
  }
  return into;
}

/** The nodes directly in a group, as elements. */
export function childrenOf(group) {
  const list = group.querySelector("[data-children]");
  return [...list.children].map((item) => item.querySelector("[data-node]"));
}

function negated(element, node) {
  return element.dataset.negated === "true" ? { not: node } : node;
}

/** The document of one node element. */
export function documentOf(element) {
  if (element.dataset.node === "group") {
    const nodes = childrenOf(element).map(documentOf);
    const alone = element.dataset.implicit !== undefined && nodes.length === 1 && element.dataset.negated !== "true";
    return alone ? nodes[0] : negated(element, { [element.dataset.join]: nodes });
  }
  if (element.dataset.node === "json") {
    const text = element.querySelector("textarea").value;
    try {
      return JSON.parse(text);
    } catch {
      return text; // not a node: the server says what is wrong with it
    }
  }
  return negated(element, keysOf(element.querySelector("[data-leaf]")));
}

/** Every node element under a root with its path as the server writes it: all[0].not.any[1]. */
export function pathsOf(element, path = "", found = []) {
  found.push([path, element]);
  if (element.dataset.node !== "group") return found;
  const children = childrenOf(element);
  const alone = element.dataset.implicit !== undefined && children.length === 1 && element.dataset.negated !== "true";
  children.forEach((child, index) => {
    const steps = alone ? [path] : [path, element.dataset.negated === "true" ? "not" : "", `${element.dataset.join}[${index}]`];
    pathsOf(child, steps.filter(Boolean).join("."), found);
  });
  return found;
}

/** How large a node of a document is: its conditions, and how many levels deep it goes. */
export function sizeOf(node) {
  const [join] = Object.keys(node ?? {}).filter((key) => key === "all" || key === "any");
  if (join && Array.isArray(node[join])) {
    const inside = node[join].map(sizeOf);
    return { leaves: inside.reduce((sum, one) => sum + one.leaves, 0), levels: 1 + Math.max(0, ...inside.map((one) => one.levels)) };
  }
  if (typeof node === "object" && node !== null && "not" in node) {
    const inside = sizeOf(node.not);
    return { leaves: inside.leaves, levels: inside.levels + 1 };
  }
  return { leaves: 1, levels: 1 };
}

/** How many levels lie above what stands directly in a group. */
export function levelsAbove(group) {
  let found = 0;
  for (let at = group; at; at = at.parentElement.closest('[data-node="group"]')) found += at.dataset.negated === "true" ? 2 : 1;
  return found;
}
