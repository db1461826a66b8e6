// What stays of pasted HTML (Word, Google Docs, websites): bold, italic, links, lists and lines.

import { encoded } from "./mail_source.js";

const GONE = new Set(["HEAD", "META", "STYLE", "SCRIPT", "TITLE", "LINK", "IMG", "SVG", "IFRAME", "OBJECT", "TEMPLATE", "XML", "BUTTON", "INPUT", "SELECT", "TEXTAREA"]);
const LINES = new Set(["ADDRESS", "ARTICLE", "BLOCKQUOTE", "BODY", "DIV", "DL", "DD", "DT", "FIGURE", "FOOTER", "HEADER", "MAIN", "P", "PRE", "SECTION", "TABLE", "TR"]);
const HEADINGS = new Set(["H1", "H2", "H3", "H4", "H5", "H6"]);
const WAY = /^(https?:\/\/|mailto:|tel:)/i;

/** HTML of few tags; empty where there is nothing to take. */
export function pasted(html) {
  if (!html) return "";
  const reader = new Reader();
  reader.children(new DOMParser().parseFromString(tame(html), "text/html").body, { isBold: false, isItalic: false });
  return reader.result();
}

/** Nothing is shown of it, but browsers report each style and handler that our policy forbids: styles get another name, the rest goes. */
function tame(html) {
  const plain = html.replace(/<(style|script)\b[^]*?<\/\1\s*>/gi, "");
  return plain.replace(/<[a-z][^>]*>/gi, (tag) => tag.replace(/\sstyle\s*=/gi, " data-said=").replace(/\son\w+\s*=/gi, " data-gone="));
}

/** Takes lines out of a document: {words, list} each; a gap stands between paragraphs. */
class Reader {
  constructor() {
    this.lines = [];
    this.words = "";
    this.how = { list: "", isGap: false };
  }

  end() {
    const words = this.words.trim();
    if (words) this.lines.push({ words, ...this.how });
    this.words = "";
  }

  children(node, style) {
    for (const child of node.childNodes) this.one(child, style);
  }

  one(node, style) {
    if (node.nodeType === Node.TEXT_NODE) this.text(node.data, style);
    else if (node.nodeType === Node.ELEMENT_NODE && !GONE.has(node.nodeName.toUpperCase())) this.element(node, style);
  }

  text(data, { isBold, isItalic }) {
    const words = encoded(data.replace(/[\s\u00a0]+/g, " ")).replace(/&quot;/g, '"');
    if (!words.trim()) this.words += words;
    else this.words += `${isBold ? "<b>" : ""}${isItalic ? "<i>" : ""}${words}${isItalic ? "</i>" : ""}${isBold ? "</b>" : ""}`;
  }

  element(node, style) {
    const name = node.nodeName.toUpperCase();
    const said = node.dataset.said ?? "";
    if (/mso-list:\s*ignore/i.test(said)) return; // the bullet that Word draws in front of a line
    const inside = this.style(name, said, style);
    if (name === "BR" && this.how.list) this.words += "<br>";
    else if (name === "BR") this.end();
    else if (name === "A" && WAY.test(node.getAttribute("href") ?? "")) this.link(node, inside);
    else if (name === "LI") this.line(node, inside, { list: node.parentElement?.nodeName === "OL" ? "ol" : "ul" });
    else if (/mso-list:\s*\w/i.test(said)) this.line(node, inside, { list: "ul" });
    else if (HEADINGS.has(name)) this.line(node, { ...inside, isBold: true }, { isGap: true });
    else if (name === "P") this.line(node, inside, { isGap: true });
    else if (LINES.has(name) || name === "UL" || name === "OL") this.line(node, inside, {});
    else {
      if (name === "TD" || name === "TH") this.words += " ";
      this.children(node, inside);
    }
  }

  /** What a tag and its style say; Google Docs puts everything into a bold that is none. */
  style(name, said, { isBold, isItalic }) {
    const [, weight] = said.match(/font-weight:\s*(\w+)/i) ?? [];
    const [, slant] = said.match(/font-style:\s*(\w+)/i) ?? [];
    return {
      isBold: weight ? weight === "bold" || weight === "bolder" || Number(weight) >= 600 : isBold || name === "B" || name === "STRONG",
      isItalic: slant ? slant !== "normal" : isItalic || name === "I" || name === "EM",
    };
  }

  link(node, style) {
    const before = this.words;
    this.words = "";
    this.children(node, style);
    const inside = this.words;
    this.words = before;
    if (inside.trim()) this.words += `<a href="${encoded(node.getAttribute("href"))}">${inside.trim()}</a>`;
  }

  /** What stands in a list stays in it, whatever boxes are around the words. */
  line(node, style, { list = "", isGap = false }) {
    const outer = this.how;
    this.end();
    this.how = { list: list || outer.list, isGap };
    this.children(node, style);
    this.end();
    this.how = outer;
  }

  result() {
    this.end();
    let [made, open] = ["", ""];
    this.lines.forEach(({ words, list, isGap }, place) => {
      if (open && open !== list) made += `</${open}>`;
      if (list) made += `${open === list ? "" : `<${list}>`}<li>${words}</li>`;
      else made += `${place && !open ? (isGap || this.lines[place - 1].isGap ? "<br><br>" : "<br>") : ""}${words}`;
      open = list;
    });
    return (open ? `${made}</${open}>` : made).replace(/<\/(b|i)>(\s*)<\1>/g, "$2");
  }
}
