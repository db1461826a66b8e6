// The mail as parts that can be pressed: frames, sections, groups, columns and what stands in them; whatever it does not know is a box with
// its source.

import { decoded } from "./mail_source.js";
import { drawn } from "./mail_words.js";

export const BLOCKS = ["mj-text", "mj-image", "mj-button", "mj-table", "mj-divider", "mj-spacer"];
export const HOLDS_BLOCKS = ["mj-column", "mj-hero"];
const HOLDS_BANDS = ["mj-body", "mj-wrapper"];
/** Elements that hold others: what they are called here, and where they may stand. */
const HOLDERS = {
  "mj-wrapper": ["frame", ["mj-body"]],
  "mj-section": ["section", HOLDS_BANDS],
  "mj-hero": ["hero", HOLDS_BANDS],
  "mj-group": ["group", ["mj-section"]],
  "mj-column": ["column", ["mj-section", "mj-group"]],
};
/** What MJML does where nobody says anything. */
export const USUAL = {
  "mj-text": { "font-size": "13px", color: "#000000" },
  "mj-button": { "background-color": "#414141", color: "#ffffff" },
  "mj-divider": { "border-color": "#000000", "border-width": "4px" },
  "mj-spacer": { height: "20px" },
  "mj-table": { "font-size": "13px", color: "#000000", cellpadding: "0" },
  "mj-hero": { "background-color": "#ffffff", "vertical-align": "top" },
};
const COLOUR = /^(#[0-9a-f]{3,8}|[a-z]{3,20}|rgba?\([\d\s,.%]+\))$/i;
const CONTENT = /^\{%-?\s*content\s*-?%\}$/; // of a layout
const OWN = /^\/i\/[\w-]{22}\.(png|jpg|gif)$/;

/** How an element is dealt with: frame (of sections), section, hero (a section with a picture behind its words), group, column, block, or kept. */
export function kind(node) {
  if (node.type !== "element" || node.isOdd) return "kept";
  const holder = node.parent.name;
  if (HOLDERS[node.name]) return HOLDERS[node.name][1].includes(holder) ? HOLDERS[node.name][0] : "kept";
  return BLOCKS.includes(node.name) && HOLDS_BLOCKS.includes(holder) ? "block" : "kept";
}

export function isBand(node) {
  return ["section", "hero"].includes(kind(node));
}

/** The sections from top to bottom, those in frames too. */
export function bands(mail) {
  const parts = mail.body ? mail.within(mail.body) : [];
  return parts.flatMap((part) => (kind(part) === "frame" ? mail.within(part) : [part])).filter(isBand);
}

/** The columns of a section, also those in groups; a hero is its own. */
export function columnsOf(mail, band) {
  if (kind(band) === "hero") return [band];
  return mail.within(band).flatMap((part) => (kind(part) === "group" ? mail.within(part) : [part])).filter((part) => kind(part) === "column");
}

/** The section that something stands in. */
export function bandOf(node) {
  let found = node;
  while (found && !isBand(found)) found = found.parent;
  return found;
}

/** Where a section's columns stand: the group, where one holds all of them. */
export function rowOf(mail, section) {
  const inside = mail.within(section);
  return inside.length === 1 && kind(inside[0]) === "group" ? inside[0] : section;
}

/** Whether it may be moved, doubled and deleted: elements, not placeholders that open and close something. */
export function isMovable(node) {
  return node.type === "element" && [...HOLDS_BANDS, ...HOLDS_BLOCKS].includes(node.parent.name);
}

export class Canvas {
  constructor(place, word) {
    this.place = place;
    this.word = word;
  }

  draw(mail, target) {
    this.mail = mail;
    this.target = target;
    const parts = mail.body ? mail.within(mail.body) : [];
    this.bands = bands(mail);
    const head = mail.named(mail.named(mail.root, "mjml"), "mj-head");
    this.place.replaceChildren(...(head ? [this.kept(head)] : []), ...parts.map((part) => this.part(part)));
    this.paint(this.place, mail.body?.attributes.get("background-color")?.value);
  }

  made(tag, className, words = "") {
    const element = Object.assign(document.createElement(tag), { className });
    if (words) element.textContent = words;
    return element;
  }

  paint(element, ground, ink) {
    if (ground && COLOUR.test(ground)) element.style.backgroundColor = ground;
    else element.style.removeProperty("background-color");
    if (ink && COLOUR.test(ink)) element.style.color = ink;
  }

  says(node, name) {
    return node.attributes.get(name)?.value || this.mail.standing(node.name, name) || USUAL[node.name]?.[name] || "";
  }

  /** Something that can be chosen: a press, Enter, and what screen readers say. */
  face(node, tag, className, label) {
    const face = this.made(tag, className);
    face.tabIndex = 0;
    face.setAttribute("role", "button");
    face.setAttribute("aria-label", label);
    face.dataset.path = this.mail.path(node).join(".");
    return face;
  }

  grip() {
    const grip = this.made("span", "mail-grip");
    grip.dataset.grip = "";
    grip.tabIndex = -1;
    grip.setAttribute("aria-hidden", "true");
    grip.append(this.made("i", "ti ti-grip-vertical"));
    return grip;
  }

  part(node) {
    const how = kind(node);
    return ["frame", "section", "hero", "group", "column", "block"].includes(how) ? this[how](node) : this.kept(node);
  }

  /** A box with a head that stands for it. */
  box(node, className, label) {
    const box = this.made("div", className);
    box.dataset.place = "";
    box.dataset.section = this.mail.path(node).join(".");
    const head = this.face(node, "div", "mail-section-head", label);
    head.append(this.grip(), this.made("span", "", label));
    box.append(head);
    return box;
  }

  frame(node) {
    const box = this.box(node, "mail-frame-box", this.word("frame"));
    const list = this.made("div", "mail-bands");
    list.dataset.bands = this.mail.path(node).join(".");
    list.append(...this.mail.within(node).map((child) => this.part(child)));
    this.paint(list, this.says(node, "background-color"));
    box.append(list);
    return box;
  }

  numbered(key, node) {
    return this.word(key, { number: this.bands.indexOf(node) + 1, count: this.bands.length });
  }

  section(node) {
    const box = this.box(node, "mail-section", this.numbered("section", node));
    box.append(this.row(node));
    return box;
  }

  hero(node) {
    const box = this.box(node, "mail-section mail-hero", this.numbered("hero", node));
    const list = this.column(node);
    const address = node.attributes.get("background-url")?.value ?? "";
    if (OWN.test(address)) list.style.backgroundImage = `url("${address}")`;
    box.append(list);
    return box;
  }

  /** Columns and groups beside each other. */
  row(node) {
    const row = this.made("div", "mail-columns");
    const parts = this.mail.within(node);
    row.append(...parts.map((child) => this.part(child)));
    row.style.gridTemplateColumns = parts.map((child) => this.track(child, parts)).join(" ");
    this.paint(row, this.says(node, "background-color"));
    return row;
  }

  group(node) {
    const box = this.made("div", "mail-group");
    const head = this.face(node, "div", "mail-section-head mail-group-head", this.word("mj-group"));
    head.append(this.made("i", "ti ti-device-mobile"), this.made("span", "", this.word("mj-group")));
    box.append(head, this.row(node));
    return box;
  }

  track(node, siblings) {
    const width = node.attributes?.get("width")?.value ?? "";
    const [, number, unit] = width.match(/^(\d{1,3}(?:\.\d+)?)(%|px)$/) ?? [];
    const takesPart = (one) => ["column", "group"].includes(kind(one));
    if (!takesPart(node)) return "minmax(0, 7rem)";
    return number > 0 ? `minmax(0, ${unit === "%" ? number : number / 6}fr)` : `minmax(0, ${100 / siblings.filter(takesPart).length}fr)`;
  }

  column(node) {
    const list = this.made("div", "mail-column");
    list.dataset.list = this.mail.path(node).join(".");
    this.paint(list, this.says(node, "background-color"));
    const children = this.mail.within(node);
    list.append(...children.map((child) => this.part(child)));
    if (!children.length) {
      const empty = this.face(node, "div", "mail-empty", this.word("empty"));
      empty.classList.toggle("is-target", empty.dataset.path === this.target);
      empty.append(this.made("i", "ti ti-plus"), this.made("span", "", empty.dataset.path === this.target ? this.word("is-target") : this.word("empty")));
      list.append(empty);
    }
    return list;
  }

  block(node) {
    const inside = this[node.name.slice(3)](node);
    const cells = [...inside.querySelectorAll("td, th")].map((cell) => cell.textContent.trim());
    const said = (cells.length ? cells.join(", ") : inside.textContent).replace(/\s+/g, " ").trim().slice(0, 80) || node.attributes.get("alt")?.value || "";
    const face = this.face(node, "div", `mail-block is-${node.name.slice(3)}`, said ? `${this.word(node.name)}: ${said}` : this.word(node.name));
    face.dataset.place = "";
    face.append(this.grip(), inside);
    return face;
  }

  // -- one of each kind ------------------------------------------------------------------------------------------------

  text(node) {
    const box = this.made("div", "mail-drawn");
    const html = this.mail.content(node);
    const shown = drawn(html);
    if (shown) box.append(shown);
    else box.textContent = html.replace(/<[^>]*>/g, " ").trim();
    for (const link of box.querySelectorAll("a")) link.removeAttribute("href");
    const size = parseFloat(this.says(node, "font-size"));
    if (size > 0) box.style.fontSize = `${Math.min(40, Math.max(9, size))}px`;
    if (["left", "center", "right"].includes(this.says(node, "align"))) box.style.textAlign = this.says(node, "align");
    if (/^(\d{3}|bold)$/.test(this.says(node, "font-weight"))) box.style.fontWeight = this.says(node, "font-weight");
    this.paint(box, "", this.says(node, "color"));
    return box;
  }

  table(node) {
    const box = this.made("div", "mail-drawn");
    const shown = drawn(this.mail.content(node), { isTable: true });
    if (shown) {
      const table = this.made("table", "mail-table");
      table.append(shown);
      box.append(table);
    } else box.textContent = this.mail.content(node).replace(/<[^>]*>/g, " ").replace(/\s+/g, " ").trim().slice(0, 300);
    for (const link of box.querySelectorAll("a")) link.removeAttribute("href");
    const size = parseFloat(this.says(node, "font-size"));
    if (size > 0) box.style.fontSize = `${Math.min(40, Math.max(9, size))}px`;
    this.paint(box, "", this.says(node, "color"));
    return box;
  }

  image(node) {
    const box = this.made("div", "mail-drawn");
    const address = node.attributes.get("src")?.value ?? "";
    const align = this.says(node, "align");
    box.style.textAlign = ["left", "right"].includes(align) ? align : "center";
    if (OWN.test(address)) {
      const image = this.made("img", "mail-image");
      Object.assign(image, { src: address, alt: node.attributes.get("alt")?.value ?? "" });
      const width = parseFloat(node.attributes.get("width")?.value ?? "");
      if (width > 0) image.style.inlineSize = `${width}px`;
      box.append(image);
    } else {
      const card = this.made("span", "mail-no-image");
      card.append(this.made("i", "ti ti-photo"), this.made("span", "", address ? node.attributes.get("alt")?.value || this.word("elsewhere") : this.word("no-image")));
      box.append(card);
    }
    return box;
  }

  button(node) {
    const box = this.made("div", "mail-drawn");
    const align = this.says(node, "align");
    box.style.textAlign = ["left", "right"].includes(align) ? align : "center";
    const button = this.made("span", "mail-button", decoded(this.mail.content(node).replace(/<[^>]*>/g, " ")).trim());
    this.paint(button, this.says(node, "background-color"), this.says(node, "color"));
    box.append(button);
    return box;
  }

  divider(node) {
    const box = this.made("div", "mail-drawn");
    const line = this.made("div", "mail-line");
    const width = parseFloat(this.says(node, "border-width"));
    if (width >= 0) line.style.blockSize = `${Math.min(20, width)}px`;
    this.paint(line, this.says(node, "border-color"));
    box.append(line);
    return box;
  }

  spacer(node) {
    const box = this.made("div", "mail-space");
    const height = parseFloat(this.says(node, "height"));
    box.style.blockSize = `${Math.min(200, Math.max(8, height || 20))}px`;
    return box;
  }

  kept(node) {
    const words = this.mail.source(node).slice(0, 2000).replace(/\s+/g, " ").trim();
    const isContent = node.type === "liquid" && CONTENT.test(words);
    const face = this.face(node, "div", "mail-kept", isContent ? this.word("content") : `${this.word("kept")}: ${words.slice(0, 80)}`);
    if (isMovable(node)) {
      face.dataset.place = "";
      if (HOLDS_BANDS.includes(node.parent.name)) face.dataset.section = face.dataset.path;
      face.append(this.grip());
    }
    if (isContent) face.append(this.made("i", "ti ti-file-text"), this.made("span", "", this.word("content")));
    else face.append(this.made("i", node.type === "comment" ? "ti ti-message" : "ti ti-lock"), this.made("code", "", words.slice(0, 120)));
    return face;
  }
}
