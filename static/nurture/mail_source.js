// The source of an MJML mail as a tree of places in it. Nothing is ever written anew: each change is a splice of the text, so that
// whatever nobody touched stays as it was, sign for sign.

const LIQUID = /\{%-?\s*raw\s*-?%\}[^]*?\{%-?\s*endraw\s*-?%\}|\{\{[^]*?\}\}|\{%[^]*?%\}/g;
const TOKEN = /<!--[^]*?-->|<!\[CDATA\[[^]*?\]\]>|<[!?][^>]*>|<\/([A-Za-z][\w:-]*)\s*>|<([A-Za-z][\w:-]*)((?:"[^"]*"|'[^']*'|[^"'<>])*?)(\/?)>/g;
const ATTRIBUTE = /\s+([A-Za-z_:][\w:.-]*)\s*=\s*(?:"([^"]*)"|'([^']*)')/y;
const HOLDS_HTML = new Set([
  "mj-text", "mj-button", "mj-raw", "mj-table", "mj-style", "mj-title", "mj-preview", "mj-navbar-link", "mj-social-element",
  "mj-accordion-title", "mj-accordion-text",
]);
const BLOCK = /^\{%-?\s*block\s+([a-z][\w-]*)\s*-?%\}$/;
const ENDBLOCK = /^\{%-?\s*endblock\s*-?%\}$/;
const ENTITIES = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

/** The text is no tree of elements; `line` is where it stops to be one. */
export class Unreadable extends Error {
  constructor(text, place) {
    super("unreadable");
    this.line = text.slice(0, place).split("\n").length;
  }
}

/** As long as the text, with each placeholder replaced by signs that mean nothing, so that quotes inside it end no attribute. */
function masked(text) {
  let sign = 0xe000;
  while (text.includes(String.fromCharCode(sign))) sign += 1;
  const stand = String.fromCharCode(sign);
  return [text.replace(LIQUID, (found) => stand.repeat(found.length)), stand];
}

/** Value of an attribute as people read it, and back: entities outside placeholders. */
export function decoded(raw) {
  return outsideLiquid(raw, (words) =>
    words.replace(/&(?:#(\d{1,6})|#[xX]([0-9a-fA-F]{1,5})|(amp|lt|gt|quot|apos));/g, (_all, number, hex, name) =>
      name ? ENTITIES[name] : String.fromCodePoint(number ? Number(number) : parseInt(hex, 16)),
    ),
  );
}

export function encoded(value, quote = '"') {
  const ends = quote === '"' ? [/"/g, "&quot;"] : [/'/g, "&#39;"];
  return outsideLiquid(value, (words) => words.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(...ends));
}

export function outsideLiquid(text, change) {
  let [made, place] = ["", 0];
  for (const found of text.matchAll(LIQUID)) {
    made += change(text.slice(place, found.index)) + found[0];
    place = found.index + found[0].length;
  }
  return made + change(text.slice(place));
}

/** Whether every placeholder that begins ends before the next one begins. */
export function isWhole(text) {
  const pieces = [...text.matchAll(LIQUID)].map((found) => found[0]);
  const begins = (words) => words.includes("{{") || words.includes("{%");
  return !begins(text.replace(LIQUID, "")) && !pieces.some((piece) => begins(piece.slice(2)) && !/^\{%-?\s*raw\b/.test(piece));
}

/** One source, read. Throws Unreadable. */
export class Mail {
  constructor(text) {
    this.text = text;
    [this.mask, this.stand] = masked(text);
    this.root = { type: "root", name: "", start: 0, openEnd: 0, closeStart: text.length, end: text.length, children: [], parent: null };
    this.read();
  }

  // -- reading ---------------------------------------------------------------------------------------------------------

  read() {
    let [open, place] = [this.root, 0];
    TOKEN.lastIndex = 0;
    for (let found = TOKEN.exec(this.mask); found; found = TOKEN.exec(this.mask)) {
      this.words(open, place, found.index);
      place = TOKEN.lastIndex;
      const [all, closing, name, inside, alone] = found;
      if (closing) {
        if (open.name !== closing) throw new Unreadable(this.text, found.index);
        Object.assign(open, { closeStart: found.index, end: place });
        open = open.parent;
      } else if (name) {
        const node = this.element(open, name, found.index, place, inside, alone !== "");
        if (alone) continue;
        if (HOLDS_HTML.has(name)) TOKEN.lastIndex = place = this.passHtml(node);
        else open = node;
      } else open.children.push({ type: all.startsWith("<!--") ? "comment" : "other", start: found.index, end: place, parent: open });
    }
    this.words(open, place, this.text.length);
    if (open !== this.root) throw new Unreadable(this.text, open.start);
  }

  element(parent, name, start, openEnd, inside, isAlone) {
    const node = { type: "element", name, start, openEnd, closeStart: null, end: openEnd, children: [], parent, html: HOLDS_HTML.has(name) };
    [node.attributes, node.isOdd] = this.attributes(start + 1 + name.length, inside.length);
    if (!isAlone) node.end = null;
    parent.children.push(node);
    return node;
  }

  /** What it says, name by name; odd is a tag in which something else stands too, such as a placeholder that makes attributes. */
  attributes(from, length) {
    const found = new Map();
    ATTRIBUTE.lastIndex = from;
    let place = from;
    for (let one = ATTRIBUTE.exec(this.mask); one && ATTRIBUTE.lastIndex <= from + length; one = ATTRIBUTE.exec(this.mask)) {
      const value = one[2] ?? one[3];
      const end = ATTRIBUTE.lastIndex;
      const start = end - 1 - value.length;
      if (found.has(one[1])) return [found, true];
      found.set(one[1], { from: one.index, start, end: end - 1, quote: this.text[end - 1], value: decoded(this.text.slice(start, end - 1)) });
      place = end;
    }
    return [found, this.mask.slice(place, from + length).trim() !== ""];
  }

  passHtml(node) {
    const ends = new RegExp(`<!--[^]*?-->|</${node.name}\\s*>`, "g");
    ends.lastIndex = node.openEnd;
    let found = ends.exec(this.mask);
    while (found?.[0].startsWith("<!--")) found = ends.exec(this.mask);
    if (!found) throw new Unreadable(this.text, node.start);
    Object.assign(node, { closeStart: found.index, end: ends.lastIndex });
    return ends.lastIndex;
  }

  /** Words between tags: space, placeholders one by one, anything else. */
  words(parent, start, end) {
    const text = this.mask.slice(start, end);
    if (text.includes("<")) throw new Unreadable(this.text, start + text.indexOf("<"));
    for (const found of text.matchAll(new RegExp(`${this.stand}+|[^${this.stand}]+`, "g"))) {
      const [from, to] = [start + found.index, start + found.index + found[0].length];
      if (found[0][0] === this.stand) {
        for (const piece of this.text.slice(from, to).matchAll(LIQUID)) {
          parent.children.push({ type: "liquid", start: from + piece.index, end: from + piece.index + piece[0].length, parent });
        }
      } else parent.children.push({ type: found[0].trim() ? "words" : "space", start: from, end: to, parent });
    }
  }

  // -- looking ---------------------------------------------------------------------------------------------------------

  /** What stands in a node, without the space between. */
  within(node) {
    return node.children.filter((child) => child.type !== "space");
  }

  named(node, name) {
    return node?.children.find((child) => child.name === name) ?? null;
  }

  get body() {
    return this.named(this.named(this.root, "mjml"), "mj-body");
  }

  source(node) {
    return this.text.slice(node.start, node.end);
  }

  /** What an element that holds HTML holds. */
  content(node) {
    return node.closeStart === null ? "" : this.text.slice(node.openEnd, node.closeStart);
  }

  path(node) {
    return node.parent ? [...this.path(node.parent), this.within(node.parent).indexOf(node)] : [];
  }

  at(path) {
    return path.reduce((node, index) => (node?.children ? this.within(node)[index] : undefined), this.root) ?? null;
  }

  /** The node that begins at a place. */
  beginningAt(place, node = this.root) {
    for (const child of node.children) {
      if (child.start === place && child.type !== "space") return child;
      if (child.children && child.start < place && place < child.end) return this.beginningAt(place, child);
    }
    return null;
  }

  /** What the head says of all elements of a kind: `<mj-attributes>`. */
  standing(name, attribute) {
    const all = this.named(this.named(this.named(this.root, "mjml"), "mj-head"), "mj-attributes");
    if (!all) return "";
    return (this.named(all, name)?.attributes.get(attribute) ?? this.named(all, "mj-all")?.attributes.get(attribute))?.value ?? "";
  }

  // -- changing: each gives the text afterwards, and where what was changed begins ---------------------------------------

  spliced(...pieces) {
    const inOrder = [...pieces].sort((one, other) => other.start - one.start || other.end - one.end);
    return inOrder.reduce((text, { start, end, words }) => text.slice(0, start) + words + text.slice(end), this.text);
  }

  /** An empty value takes the attribute away. */
  withAttribute(node, name, value) {
    const found = node.attributes.get(name);
    if ((found?.value ?? "") === value) return this.text;
    if (found && value === "") return this.spliced({ start: found.from, end: found.end + 1, words: "" });
    if (found) return this.spliced({ start: found.start, end: found.end, words: encoded(value, found.quote) });
    const last = Math.max(node.start + 1 + node.name.length, ...[...node.attributes.values()].map((one) => one.end + 1));
    return this.spliced({ start: last, end: last, words: ` ${name}="${encoded(value)}"` });
  }

  withContent(node, html) {
    if (node.closeStart !== null) return this.spliced({ start: node.openEnd, end: node.closeStart, words: html });
    return this.spliced(this.opened(node, html));
  }

  /** `<mj-column />` becomes `<mj-column>…</mj-column>`. */
  opened(node, inside) {
    const start = node.start + this.text.slice(node.start, node.openEnd - 2).trimEnd().length;
    return { start, end: node.openEnd, words: `>${inside}</${node.name}>` };
  }

  /** From the space in front of it to its end. */
  cut(node) {
    return { start: this.spaceBefore(node.start), end: node.end, words: "" };
  }

  spaceBefore(place) {
    return this.text.slice(0, place).trimEnd().length;
  }

  without(node) {
    return this.spliced(this.cut(node));
  }

  /** The new line and indentation that children of a node have. */
  lead(container) {
    for (const child of this.within(container)) {
      const space = this.text.slice(this.spaceBefore(child.start), child.start);
      if (space.includes("\n")) return space.slice(space.lastIndexOf("\n"));
    }
    return `${this.line(container)}  `;
  }

  line(node) {
    const before = this.text.slice(this.text.lastIndexOf("\n", node.start - 1) + 1, node.start);
    return `\n${before.trim() ? "" : before}`;
  }

  /** Puts words in front of a child, or behind the last one. */
  insertion(container, before, words) {
    const lead = this.lead(container);
    const children = this.within(container);
    if (container.closeStart === null) {
      const piece = this.opened(container, `${lead}${words}${this.line(container)}`);
      return { piece, offset: 1 + lead.length };
    }
    const start = before ? this.spaceBefore(before.start) : children.at(-1)?.end ?? container.openEnd;
    const rest = this.text.slice(start, container.closeStart);
    const tail = before || rest.includes("\n") ? "" : this.line(container);
    return { piece: { start, end: start, words: `${lead}${words}${tail}` }, offset: lead.length };
  }

  inserted(container, before, words) {
    const { piece, offset } = this.insertion(container, before, words);
    return { text: this.spliced(piece), at: piece.start + offset };
  }

  /** Null where it stands there already, or would stand in itself. */
  moved(node, container, before) {
    const siblings = this.within(container);
    const next = node.parent === container ? siblings[siblings.indexOf(node) + 1] ?? null : undefined;
    if (before === node || before === next) return null;
    for (let one = container; one; one = one.parent) if (one === node) return null;
    const { piece, offset } = this.insertion(container, before, this.source(node));
    const cut = this.cut(node);
    const at = piece.start + offset - (cut.start < piece.start ? cut.end - cut.start : 0);
    return { text: this.spliced(piece, cut), at };
  }

  /** All that stands in a node between the tags of an element of its own, each tag on a line. */
  wrapped(node, name) {
    const [first, last, lead] = [this.within(node)[0], this.within(node).at(-1), this.lead(node)];
    return this.spliced(
      { start: first.start, end: first.start, words: `<${name}>${lead}` },
      { start: last.end, end: last.end, words: `${lead}</${name}>` },
    );
  }

  /** What stands in a node without its tags. */
  unwrapped(node) {
    const [first, last] = [this.within(node)[0], this.within(node).at(-1)];
    return this.spliced({ start: node.start, end: first.start, words: "" }, { start: last.end, end: node.end, words: "" });
  }

  /** The name of the block that holds this part alone; empty where everybody sees it. */
  shownTo(node) {
    const [before, after] = this.around(node);
    const found = before?.type === "liquid" && after?.type === "liquid" ? BLOCK.exec(this.source(before)) : null;
    return found && ENDBLOCK.test(this.source(after)) ? found[1] : "";
  }

  around(node) {
    const siblings = this.within(node.parent);
    const place = siblings.indexOf(node);
    return [siblings[place - 1], siblings[place + 1]];
  }

  /** In a block of its own, in another one, or with an empty name in none: the text, and where the part begins in it. */
  withShownTo(node, name) {
    const [before, after] = this.around(node);
    const had = this.shownTo(node);
    const lead = this.lead(node.parent);
    if (had && !name) {
      const text = this.spliced({ start: before.start, end: node.start, words: "" }, { start: node.end, end: after.end, words: "" });
      return { text, at: before.start };
    }
    const opening = `{% block ${name} %}`;
    if (had) return { text: this.spliced({ start: before.start, end: before.end, words: opening }), at: node.start + opening.length - (before.end - before.start) };
    const text = this.spliced({ start: node.start, end: node.start, words: opening + lead }, { start: node.end, end: node.end, words: `${lead}{% endblock %}` });
    return { text, at: node.start + opening.length + lead.length };
  }

  doubled(node) {
    const start = this.spaceBefore(node.start);
    const space = this.text.slice(start, node.start);
    return { text: this.spliced({ start: node.end, end: node.end, words: `${space}${this.source(node)}` }), at: node.end + space.length };
  }
}
