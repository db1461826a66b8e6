// What can be said about the chosen part: its inputs, from the page's templates, and what they change in the source.

import { USUAL, columnsOf, rowOf } from "./mail_canvas.js";
import { decoded, encoded } from "./mail_source.js";
import { TableWords } from "./mail_table.js";
import { Words, drawn } from "./mail_words.js";

export class Panel {
  /** `change(how, control)` asks for a change of the chosen part: how(mail, node) gives the new text. */
  constructor(editor, place, { change, columns, together, shownTo, choose }) {
    Object.assign(this, { editor, place, change, columns, together, shownTo, choose });
    place.addEventListener("input", (event) => this.input(event.target));
    place.addEventListener("change", (event) => {
      if (event.target.matches("[data-columns]")) this.columns(Number(event.target.value));
      if (event.target.matches("[data-together]")) this.together(event.target.checked);
      if (event.target.matches("[data-shown-to]")) this.shownTo(event.target.value);
    });
    place.addEventListener("click", (event) => event.target.closest("[data-choose]") && this.choose());
    place.addEventListener("keydown", (event) => event.key === "Enter" && event.target.matches("input") && event.preventDefault());
  }

  template(name) {
    return this.editor.querySelector(`template[data-panel="${name}"]`).content.cloneNode(true);
  }

  open(mail, node, { name, title, isMovable }) {
    this.close();
    const head = this.template("head");
    head.querySelector("[data-title]").textContent = title;
    head.querySelector("[data-moves]").hidden = !isMovable;
    this.fillShownTo(head, mail, node, isMovable && name !== "kept");
    this.place.append(head, this.template(name));
    this.place.hidden = false;
    if (name === "kept") this.place.querySelector("[data-source]").textContent = mail.source(node);
    else this.fill(mail, node);
  }

  close() {
    this.words?.end();
    this.words = null;
    this.place.replaceChildren();
    this.place.hidden = true;
  }

  focus() {
    [...this.place.querySelectorAll("[data-first], [data-content]")].find((one) => one.checkVisibility())?.focus();
  }

  fill(mail, node) {
    for (const control of this.place.querySelectorAll("[data-attribute]")) this.show(mail, node, control);
    if (["mj-text", "mj-table"].includes(node.name)) this.fillWords(mail.content(node), node.name === "mj-table");
    if (node.name === "mj-button") this.fillLabel(mail.content(node));
    if (node.name === "mj-section") this.fillColumns(mail, node);
  }

  fillShownTo(head, mail, node, isAsked) {
    const select = head.querySelector("[data-shown-to]");
    if (!select) return;
    head.querySelector("[data-shown-row]").hidden = !isAsked;
    const name = isAsked ? mail.shownTo(node) : "";
    if (name && ![...select.options].some((one) => one.value === name)) select.append(new Option(name, name));
    select.value = name;
  }

  show(mail, node, control) {
    const name = control.dataset.attribute;
    const value = node.attributes.get(name)?.value ?? "";
    const usual = mail.standing(node.name, name) || USUAL[node.name]?.[name] || "";
    if (control.matches("select") && value && ![...control.options].some((one) => one.value === value)) control.append(new Option(value, value));
    control.value = control.dataset.unit ? this.bare(value, control.dataset.unit) : value;
    if (usual && control.matches("input")) control.placeholder = control.dataset.unit ? this.bare(usual, control.dataset.unit) : usual;
    const colour = this.place.querySelector(`[data-colour="${name}"]`);
    if (colour) colour.value = this.sixDigits(value || usual);
  }

  bare(value, unit) {
    return value.endsWith(unit) && /^\d+(\.\d+)?$/.test(value.slice(0, -unit.length)) ? value.slice(0, -unit.length) : value;
  }

  sixDigits(value) {
    if (/^#[0-9a-f]{3}$/i.test(value)) return `#${[...value.slice(1)].map((sign) => sign + sign).join("")}`.toLowerCase();
    return /^#[0-9a-f]{6}$/i.test(value) ? value.toLowerCase() : "#ffffff";
  }

  fillWords(html, isTable) {
    const isShown = drawn(html, { isTable }) !== null;
    this.place.querySelector("[data-words]").hidden = !isShown;
    this.place.querySelector("[data-words-source]").hidden = isShown;
    this.place.querySelector("[data-content]").value = html;
    if (!isShown) return;
    const home = this.place.querySelector("[data-words]");
    const Kind = isTable ? TableWords : Words;
    this.words = new Kind(home, html, (fresh, isStep) => this.change((mail, node) => mail.withContent(node, fresh), home, isStep));
  }

  fillLabel(html) {
    const isPlain = !html.includes("<");
    this.place.querySelector("[data-plain-label]").hidden = !isPlain;
    this.place.querySelector("[data-words-source]").hidden = isPlain;
    this.place.querySelector("[data-label]").value = decoded(html).trim();
    this.place.querySelector("[data-content]").value = html;
  }

  fillColumns(mail, node) {
    const columns = columnsOf(mail, node);
    const together = this.place.querySelector("[data-together]");
    together.checked = rowOf(mail, node) !== node;
    together.closest("label").hidden = columns.length < 2;
    const select = this.place.querySelector("[data-columns]");
    if (columns.length > 4) select.append(new Option(String(columns.length)));
    select.value = String(columns.length || 1);
    const made = columns.map((column, index) => {
      const label = this.place.querySelector("template[data-width]").content.cloneNode(true);
      label.querySelector("[data-width-name]").textContent = this.editor.word("column", { number: index + 1 });
      const input = label.querySelector("input");
      input.dataset.widthOf = index;
      input.value = this.bare(column.attributes.get("width")?.value ?? "", "%");
      input.placeholder = String(Math.round(100 / columns.length));
      return label;
    });
    this.place.querySelector("[data-width-inputs]").replaceChildren(...made);
    this.place.querySelector("[data-widths]").hidden = columns.length < 2;
  }

  /** Whether what stands in a control was taken over. */
  tell(isTaken, control) {
    const box = control.querySelector("[data-words-box]") ?? control;
    box.classList.toggle("is-invalid", !isTaken);
    box.setAttribute("aria-invalid", String(!isTaken));
    this.place.querySelector("[data-open]").hidden = isTaken;
  }

  // -- what is typed ---------------------------------------------------------------------------------------------------

  input(control) {
    if (control.dataset.attribute) this.setAttribute(control.dataset.attribute, this.valueOf(control), control);
    else if (control.dataset.colour) this.colour(control);
    else if (control.matches("[data-content]")) this.change((mail, node) => mail.withContent(node, control.value), control);
    else if (control.matches("[data-label]")) this.change((mail, node) => mail.withContent(node, encoded(control.value)), control);
    else if (control.dataset.widthOf) this.setWidth(control);
  }

  valueOf(control) {
    const value = control.value.trim();
    return control.dataset.unit && /^\d+(\.\d+)?$/.test(value) ? `${value}${control.dataset.unit}` : value;
  }

  setAttribute(name, value, control) {
    const colour = this.place.querySelector(`[data-colour="${name}"]`);
    if (colour && colour !== control) colour.value = this.sixDigits(value);
    this.change((mail, node) => mail.withAttribute(node, name, value), control);
  }

  colour(control) {
    const input = this.place.querySelector(`[data-attribute="${control.dataset.colour}"]`);
    input.value = control.value;
    this.setAttribute(control.dataset.colour, control.value, control);
  }

  setWidth(control) {
    this.change((mail, node) => {
      const columns = columnsOf(mail, node);
      return mail.withAttribute(columns[Number(control.dataset.widthOf)], "width", this.valueOf(control));
    }, control);
  }
}
