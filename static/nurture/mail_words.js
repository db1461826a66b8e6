// The words of a text block as people write them: bold, italic, links, lists and placeholders. What the tags of a text said beyond that
// (styles, classes) stays with them; a text that holds more than this is edited as source.

import { pasted } from "./mail_paste.js";
import { decoded, encoded, outsideLiquid } from "./mail_source.js";

const TOKEN = /<!--[^]*?-->|<\/([A-Za-z][\w-]*)\s*>|<([A-Za-z][\w-]*)((?:"[^"]*"|'[^']*'|[^"'<>])*?)\/?>|[^<]+/g;
const LIQUID = /\{\{[^]*?\}\}|\{%[^]*?%\}/g;
const INLINE = new Set(["a", "b", "big", "code", "del", "em", "font", "i", "ins", "s", "small", "span", "strong", "sub", "sup", "u"]);
const BLOCKS = new Set(["blockquote", "div", "h1", "h2", "h3", "h4", "h5", "h6", "li", "ol", "p", "ul"]);
const TABLES = new Set(["tbody", "td", "tfoot", "th", "thead", "tr"]); // in a table's own words only
const PLAIN = new Set(["A", "B", "BLOCKQUOTE", "EM", "I", "LI", "OL", "S", "STRONG", "SUB", "SUP", "U", "UL"]); // made in the editor

/** What is shown of a text, as a fragment; null where it holds more than this editor shows. */
export function drawn(html, { isTable = false } = {}) {
  const pieces = [];
  const mask = html.replace(LIQUID, (found) => `\ue000${pieces.push(found) - 1}\ue001`);
  if (html.includes("\ue000")) return null;
  const whole = (text) => text.replace(/\ue000(\d+)\ue001/g, (_all, number) => pieces[number]);
  const top = document.createDocumentFragment();
  let [open, place] = [top, 0];
  for (const found of mask.matchAll(TOKEN)) {
    if (found.index !== place) return null;
    place += found[0].length;
    const [all, closing, name] = found;
    if (closing) {
      if (open === top || open.localName !== closing.toLowerCase()) return null;
      open = open.parentNode;
    } else if (name) {
      const tag = name.toLowerCase();
      const isKnown = INLINE.has(tag) || BLOCKS.has(tag) || (isTable && TABLES.has(tag));
      if (tag !== "br" && (all.endsWith("/>") || !isKnown)) return null;
      const element = open.appendChild(document.createElement(tag));
      element.dataset.tag = whole(all);
      if (tag !== "br") open = element;
    } else if (all.startsWith("<!--")) open.append(chip(whole(all), "…"));
    else words(open, all, pieces);
  }
  return open === top && place === mask.length ? top : null;
}

function words(parent, text, pieces) {
  for (const found of text.matchAll(/\ue000(\d+)\ue001|[^\ue000]+/g)) {
    parent.append(found[1] === undefined ? readable(found[0]) : chip(pieces[found[1]]));
  }
}

function readable(text) {
  const reader = document.createElement("textarea");
  reader.innerHTML = `x${text}`;
  return reader.value.slice(1);
}

/** A placeholder as one thing that is passed over, and deleted, in one step. */
export function chip(source, label = labelled(source)) {
  const made = document.createElement("span");
  Object.assign(made, { className: source.startsWith("{{") ? "mail-chip" : "mail-chip is-code", contentEditable: "false", title: source });
  made.dataset.kept = source;
  made.textContent = label;
  return made;
}

function labelled(source) {
  const inside = source.slice(2, -2).replace(/^-|-$/g, "").trim();
  return source.startsWith("{{") ? inside.split("|")[0].trim() : inside;
}

/** The words as a source. */
export function written(top) {
  const nodes = [...top.childNodes];
  const last = nodes.at(-1);
  if (last?.nodeName === "BR" && last.dataset.tag === undefined) nodes.pop(); // browsers keep an empty last line open with one
  return nodes.map(one).join("");
}

function one(node) {
  if (node.nodeType === Node.TEXT_NODE) return encodedWords(node.data);
  if (node.nodeType !== Node.ELEMENT_NODE) return "";
  if (node.dataset.kept !== undefined) return node.dataset.kept;
  if (node.nodeName === "BR") return node.dataset.tag ?? "<br />";
  const inside = [...node.childNodes].map(one).join("");
  if (node.dataset.tag !== undefined) return `${node.dataset.tag}${inside}</${node.dataset.tag.match(/^<([\w-]+)/)[1]}>`;
  if (node.nodeName === "A") return `<a href="${encoded(node.getAttribute("href") ?? "")}">${inside}</a>`;
  if (PLAIN.has(node.nodeName)) return `<${node.localName}>${inside}</${node.localName}>`;
  if (node.nodeName === "P") return `<p>${inside}</p>`;
  if (node.nodeName === "DIV") return `${node.previousSibling ? "<br />" : ""}${inside}`;
  return inside;
}

function encodedWords(text) {
  return outsideLiquid(text, (words_) => words_.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/\u200b/g, "").replace(/\u00a0/g, "&nbsp;"));
}

/** A box with words that can be written in, and its buttons. `tell(html)` hears each change. */
export class Words {
  constructor(home, html, tell) {
    this.home = home;
    this.box = home.querySelector("[data-words-box]");
    this.link = home.querySelector("[data-link-row]");
    this.tell = tell;
    this.hasHardSpaces = /\u00a0|&nbsp;|&#160;/.test(html);
    this.fill(html);
    home.addEventListener("mousedown", (event) => event.target.closest("[data-words-do]") && event.preventDefault()); // the caret stays
    home.addEventListener("click", (event) => this.press(event.target.closest("[data-words-do]")));
    home.querySelector("[data-placeholder]").addEventListener("change", (event) => this.place(event.target));
    this.box.addEventListener("input", () => this.changed());
    this.box.addEventListener("keydown", (event) => this.key(event));
    this.box.addEventListener("paste", (event) => this.paste(event));
    this.box.addEventListener("drop", (event) => event.preventDefault());
    this.link.querySelector("input").addEventListener("keydown", (event) => {
      if (event.key === "Enter") {
        event.preventDefault();
        this.setLink();
      } else if (event.key === "Escape") {
        event.stopPropagation();
        this.closeLink();
      }
    });
    document.addEventListener("selectionchange", (this.onSelection = () => this.showState()));
  }

  fill(html) {
    this.box.replaceChildren(drawn(html));
  }

  /** What is written, as a source. */
  get source() {
    return written(this.box);
  }

  /** Where the caret stands while nobody put it anywhere. */
  get field() {
    return this.box;
  }

  end() {
    document.removeEventListener("selectionchange", this.onSelection);
  }

  /** Browsers type a hard space beside another one; who had none meant a plain one. */
  changed({ isStep = false } = {}) {
    const html = this.source;
    this.tell(this.hasHardSpaces ? html : html.replace(/&nbsp;/g, " "), isStep);
  }

  get range() {
    const found = document.getSelection();
    return found.rangeCount && this.box.contains(found.getRangeAt(0).commonAncestorContainer) ? found.getRangeAt(0) : null;
  }

  /** Where the caret is, for when it is somewhere else: an input, a list of placeholders. */
  remember() {
    const range = this.range;
    if (range) this.saved = range.cloneRange();
    return range;
  }

  showState() {
    const range = this.remember();
    for (const button of this.home.querySelectorAll("[data-state]")) {
      button.setAttribute("aria-pressed", String(Boolean(range) && document.queryCommandState(button.dataset.state)));
    }
  }

  back() {
    this.remember();
    this.field.focus();
    const range = this.saved ?? document.createRange();
    if (!this.saved) {
      range.selectNodeContents(this.field);
      range.collapse(false);
    }
    document.getSelection().removeAllRanges();
    document.getSelection().addRange(range);
  }

  press(button) {
    if (!button) return;
    const what = button.dataset.wordsDo;
    if (what === "link") this.openLink();
    else if (what === "set-link") this.setLink();
    else if (what === "no-link") this.setLink("");
    else {
      this.back();
      document.execCommand(what);
      this.changed();
    }
  }

  key(event) {
    if (event.key === "Enter" && !event.shiftKey && !this.anchor("li, p")) {
      event.preventDefault(); // a line, not a box around each
      document.execCommand("insertLineBreak");
    } else if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      this.openLink();
    }
  }

  anchor(selector) {
    const node = this.range?.commonAncestorContainer;
    const found = (node?.nodeType === Node.TEXT_NODE ? node.parentElement : node)?.closest(selector);
    return found && this.box.contains(found) && found !== this.box ? found : null;
  }

  /** Bold, italic, links, lists and lines of what is pasted; its styles and pictures stay behind. */
  paste(event) {
    event.preventDefault();
    const made = pasted(event.clipboardData.getData("text/html"));
    if (made) document.execCommand("insertHTML", false, made);
    else document.execCommand("insertText", false, event.clipboardData.getData("text/plain"));
  }

  place(select) {
    if (!select.value) return;
    this.back();
    const made = chip(select.value);
    const range = this.range;
    range.deleteContents();
    range.insertNode(made);
    const next = made.nextSibling?.nodeName === "BR" && made.nextSibling.dataset.tag === undefined ? made.nextSibling : null;
    if (next && next === this.box.lastChild) next.remove(); // it held the empty line open
    const behind = document.createTextNode("\u200b"); // where the caret can stand; it is never written
    made.after(behind);
    document.getSelection().collapse(behind, 1);
    select.value = "";
    this.changed();
  }

  // -- links -----------------------------------------------------------------------------------------------------------

  openLink() {
    this.back();
    const found = this.anchor("a");
    this.at = found;
    this.link.hidden = false;
    const input = this.link.querySelector("input");
    input.value = found ? this.addressOf(found) : "https://";
    input.focus();
    input.select();
  }

  addressOf(anchor) {
    const said = anchor.dataset.tag?.match(/\bhref\s*=\s*(?:"([^"]*)"|'([^']*)')/);
    return said ? decoded(said[1] ?? said[2]) : (anchor.getAttribute("href") ?? "");
  }

  setLink(address = this.link.querySelector("input").value.trim()) {
    this.closeLink();
    if (this.at && address) this.readdress(this.at, address);
    else if (this.at) this.at.replaceWith(...this.at.childNodes);
    else if (address) {
      const isEmpty = this.range.collapsed;
      if (isEmpty) document.execCommand("insertText", false, address);
      if (isEmpty) this.reach(address.length);
      document.execCommand("createLink", false, address);
    }
    this.changed();
  }

  readdress(anchor, address) {
    if (anchor.dataset.tag === undefined) anchor.setAttribute("href", address);
    else if (/\bhref\s*=/.test(anchor.dataset.tag)) {
      anchor.dataset.tag = anchor.dataset.tag.replace(/\bhref\s*=\s*(?:"[^"]*"|'[^']*')/, () => `href="${encoded(address)}"`);
    } else anchor.dataset.tag = anchor.dataset.tag.replace(/\s*>$/, () => ` href="${encoded(address)}">`);
  }

  /** Chooses the letters in front of the caret. */
  reach(length) {
    const selection = document.getSelection();
    for (let each = 0; each < length; each += 1) selection.modify("extend", "backward", "character");
  }

  closeLink() {
    this.link.hidden = true;
    this.back();
  }
}
