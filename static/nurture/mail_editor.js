// The visual editor of MJML mails: shows the source as parts, changes it by splices. The text stays what is saved, and works without this.

import { History } from "../segments/builder_history.js";
import { Canvas, HOLDS_BLOCKS, bandOf, bands, columnsOf, isBand, isMovable, kind, rowOf } from "./mail_canvas.js";
import { MailDrag } from "./mail_drag.js";
import { Panel } from "./mail_panel.js";
import { Mail, Unreadable, encoded, isWhole } from "./mail_source.js";

const PREVIEW_AFTER = 700; // ms without a change until the preview asks again
const ARROWS = { ArrowUp: "up", ArrowDown: "down", ArrowLeft: "left", ArrowRight: "right" };

class MailEditor extends HTMLElement {
  connectedCallback() {
    if (this.field) return;
    this.field = document.getElementById(this.dataset.field);
    this.form = document.getElementById(this.dataset.form);
    this.holder = this.field.closest(`#div_${this.dataset.field}`) ?? this.field;
    this.words = new Map([...this.querySelectorAll("template[data-word]")].map((one) => [one.dataset.word, one.content.textContent]));
    this.history = new History();
    this.canvas = new Canvas(this.querySelector("[data-canvas]"), (...said) => this.word(...said));
    this.panel = new Panel(this, this.querySelector("[data-panel-place]"), {
      change: (how, control, isStep) => this.edit(how, control, isStep),
      columns: (count) => this.setColumns(count),
      together: (isTogether) => this.setTogether(isTogether),
      shownTo: (name) => this.setShownTo(name),
      choose: () => this.chooseImage(),
    });
    this.drag = new MailDrag(this, this.canvas.place, {
      land: (item, list, before) => this.land(item, list, before),
      fits: () => true,
    });
    this.dialog = document.getElementById("image-dialog");
    this.listen();
    this.holder.before(this); // comes back here, and returns at the first line
    this.hidden = false;
    this.show(this.isMjml && !this.form.querySelector("#id_body.is-invalid") ? "visual" : "source");
  }

  listen() {
    this.addEventListener("click", (event) => this.onClick(event));
    this.addEventListener("keydown", (event) => this.onKey(event));
    this.form.addEventListener("change", (event) => event.target.name === "format" && this.show(this.isMjml ? this.view : "source"));
    this.form.addEventListener("restored", () => this.show(this.view));
    this.dialog?.addEventListener("click", (event) => this.onDialog(event));
    this.dialog?.addEventListener("close", () => this.panel.focus());
  }

  word(key, values = {}) {
    return (this.words.get(key) ?? key).replace(/\{(\w+)\}/g, (_all, name) => values[name] ?? "");
  }

  say(key, values) {
    this.querySelector("[data-live]").textContent = this.word(key, values);
  }

  get isMjml() {
    const chosen = this.form.querySelector("[name=format]:checked, [name=format][type=hidden]");
    return !chosen || chosen.value === "mjml";
  }

  // -- two views -------------------------------------------------------------------------------------------------------

  show(view) {
    const isVisual = view === "visual" && this.isMjml && this.read();
    if (view === "source") this.querySelector("[data-unreadable]").hidden = true;
    if (isVisual && this.left !== undefined && this.left !== this.field.value) this.history.note(this.left); // changed as source
    this.left = isVisual ? undefined : this.left ?? this.field.value;
    this.view = isVisual ? "visual" : "source";
    for (const tab of this.querySelectorAll("[data-view]")) {
      const isShown = tab.dataset.view === this.view;
      tab.setAttribute("aria-selected", String(isShown));
      tab.classList.toggle("active", isShown);
      tab.tabIndex = isShown ? 0 : -1;
      tab.disabled = tab.dataset.view === "visual" && !this.isMjml;
    }
    for (const part of this.querySelectorAll("[data-only-visual]")) part.hidden = !isVisual;
    this.holder.hidden = isVisual;
    if (isVisual) this.draw();
    else this.panel.close();
  }

  /** Whether the source is a tree with a body; says why not. */
  read() {
    const told = this.querySelector("[data-unreadable]");
    try {
      this.mail = new Mail(this.field.value);
      told.hidden = Boolean(this.mail.body);
      told.textContent = this.word("no-body");
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      told.hidden = false;
      told.textContent = told.dataset.words.replace("{line}", error.line);
    }
    return told.hidden;
  }

  /** Parts drawn anew; what was chosen stays chosen where it still is. */
  draw() {
    this.canvas.draw(this.mail, this.chosen);
    this.mark();
  }

  /** Only the part that was changed: in a mail of 300 parts a key must not wait for the others. */
  drawChosen() {
    const { node } = this;
    if (kind(node) !== "block") {
      this.draw();
      return;
    }
    this.canvas.mail = this.mail;
    this.face(this.chosen).replaceWith(this.canvas.part(node));
    this.mark();
  }

  mark() {
    const face = this.face(this.chosen);
    face?.classList.add("is-chosen");
    face?.setAttribute("aria-pressed", "true");
    this.querySelector("[data-do=undo]").disabled = this.history.peek(true) === undefined;
    this.querySelector("[data-do=redo]").disabled = this.history.peek(false) === undefined;
  }

  face(path) {
    return path === undefined ? null : this.canvas.place.querySelector(`[data-path="${path}"]`);
  }

  get node() {
    return this.chosen === undefined ? null : this.mail.at(this.chosen.split(".").map(Number));
  }

  // -- changes ---------------------------------------------------------------------------------------------------------

  /** The new text becomes the source; `control` is what somebody types in, so that a burst of typing is one step back. */
  take(text, control = null) {
    if (text === this.field.value) return false;
    this.history.note(this.field.value, control);
    this.put(text);
    return true;
  }

  put(text) {
    this.field.value = text;
    this.field.dispatchEvent(new Event("input", { bubbles: true }));
    this.mail = new Mail(text);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.form.dispatchEvent(new Event("previewed")), PREVIEW_AFTER);
  }

  /** A change of the chosen part by its panel, one to be taken back by itself if it is a step; what would reach beyond the part, such as a placeholder half typed, waits. */
  edit(how, control, isStep = false) {
    const { node } = this;
    if (!node) return;
    const text = how(this.mail, node);
    const holds = this.holds(text, node);
    this.panel.tell(holds, control);
    if (holds && this.take(text, isStep ? null : control)) this.drawChosen();
  }

  holds(text, node) {
    try {
      const fresh = new Mail(text);
      const same = fresh.at(this.mail.path(node));
      const isWithin = same?.name === node.name && same.start === node.start && text.slice(same.end) === this.mail.text.slice(node.end);
      return isWithin && (isWhole(fresh.source(same)) || !isWhole(this.mail.source(node)));
    } catch (error) {
      if (error instanceof Unreadable) return false;
      throw error;
    }
  }

  /** A change of the structure; what was changed is chosen and has the focus. */
  settle(result, { open = false } = {}) {
    this.take(result.text);
    const node = this.mail.beginningAt(result.at);
    this.choose(node ? this.mail.path(node).join(".") : undefined, { open });
    return node;
  }

  travel(isBack) {
    const text = this.history.peek(isBack);
    if (text === undefined) {
      this.say("nothing");
      return;
    }
    const hadFocus = this.canvas.place.contains(document.activeElement);
    this.history.settle(isBack, this.field.value);
    this.put(text);
    this.choose(this.node ? this.chosen : undefined, { focus: false });
    if (hadFocus) (this.face(this.chosen) ?? this.canvas.place.querySelector("[data-path]"))?.focus();
    this.say(isBack ? "undone" : "redone");
  }

  // -- choosing --------------------------------------------------------------------------------------------------------

  choose(path, { open = true, focus = true } = {}) {
    this.chosen = path;
    this.draw();
    const { node } = this;
    const isEmptyColumn = node && kind(node) === "column";
    if (open && node && !isEmptyColumn) this.openPanel(node);
    else if (this.panel.place.hidden === false && node && !isEmptyColumn) this.openPanel(node);
    else this.panel.close();
    if (focus) this.face(path)?.focus({ preventScroll: true });
    this.face(path)?.scrollIntoView({ block: "nearest" });
  }

  openPanel(node) {
    const name = kind(node) === "kept" ? "kept" : node.name;
    const title = name === "kept" ? this.word(node.type === "comment" ? "comment" : "kept") : this.labelOf(node);
    this.panel.open(this.mail, node, { name, title: node.type === "element" && name === "kept" ? `${title}: <${node.name}>` : title, isMovable: isMovable(node) });
  }

  labelOf(node) {
    return this.word(node.name);
  }

  onClick(event) {
    const tab = event.target.closest("[data-view]");
    const add = event.target.closest("[data-add]");
    const button = event.target.closest("[data-do]");
    const face = event.target.closest("[data-path]");
    if (tab) this.show(tab.dataset.view);
    else if (add) this.add(add.dataset.add);
    else if (button) this.act(button.dataset.do);
    else if (face && this.canvas.place.contains(face)) this.choose(face.dataset.path);
  }

  act(what) {
    if (what === "undo" || what === "redo") this.travel(what === "undo");
    else if (what === "close") this.leavePanel();
    else if (what === "to-source") this.toSource();
    else if (this.node && isMovable(this.node)) this[what]();
  }

  leavePanel() {
    this.panel.close();
    this.face(this.chosen)?.focus();
  }

  toSource() {
    const { start, end } = this.node;
    this.show("source");
    this.field.focus();
    this.field.setSelectionRange(start, end);
  }

  // -- keys ------------------------------------------------------------------------------------------------------------

  onKey(event) {
    if (event.target.closest("[role=tab]") && (event.key === "ArrowLeft" || event.key === "ArrowRight")) {
      const other = this.querySelector("[data-view]:not(.active):not(:disabled)");
      other?.click();
      if (other) other.focus();
    } else if (event.key === "Escape" && this.panel.place.contains(event.target)) {
      event.preventDefault();
      this.leavePanel();
    } else if (this.canvas.place.contains(event.target) && this.canvasKey(event)) event.preventDefault();
  }

  canvasKey(event) {
    const face = event.target.closest("[data-path]");
    const letter = event.ctrlKey || event.metaKey ? event.key.toLowerCase() : "";
    if (letter === "z" || letter === "y") this.travel(letter === "z" && !event.shiftKey);
    else if (!face) return false;
    else if (event.altKey && ARROWS[event.key]) this.withChosen(face, ARROWS[event.key]);
    else if (letter === "d") this.withChosen(face, "double");
    else if (letter || event.altKey) return false;
    else if (event.key === "Enter" || event.key === " ") this.enter(face);
    else if (event.key === "Delete" || event.key === "Backspace") this.withChosen(face, "delete");
    else if (event.key === "ArrowDown" || event.key === "ArrowUp") this.walk(face, event.key === "ArrowDown" ? 1 : -1);
    else return false;
    return true;
  }

  withChosen(face, what) {
    this.chosen = face.dataset.path;
    this.act(what);
  }

  enter(face) {
    this.choose(face.dataset.path);
    this.panel.focus();
  }

  walk(face, by) {
    const all = [...this.canvas.place.querySelectorAll("[data-path]")];
    all[all.indexOf(face) + by]?.focus();
  }

  // -- moving ----------------------------------------------------------------------------------------------------------

  up() {
    this.step(-1);
  }

  down() {
    this.step(1);
  }

  left() {
    this.aside(-1);
  }

  right() {
    this.aside(1);
  }

  /** One place up or down; sections into the frame that comes next and out of it, the rest out of a column into the section above or below. */
  step(by) {
    const { node } = this;
    const siblings = this.mail.within(node.parent);
    const place = siblings.indexOf(node) + by;
    const next = siblings[place];
    if (next && isBand(node) && kind(next) === "frame") this.move(node, next, by > 0 ? this.mail.within(next)[0] ?? null : null);
    else if (next) this.move(node, node.parent, siblings[by > 0 ? place + 1 : place] ?? null);
    else if (node.parent.name === "mj-wrapper") this.outOfFrame(node, by);
    else if (HOLDS_BLOCKS.includes(node.parent.name)) this.acrossSections(node, by);
    else this.say("stays");
  }

  outOfFrame(node, by) {
    const frame = node.parent;
    const around = this.mail.within(frame.parent);
    this.move(node, frame.parent, by > 0 ? around[around.indexOf(frame) + 1] ?? null : frame);
  }

  acrossSections(node, by) {
    const all = bands(this.mail);
    const section = bandOf(node.parent);
    const column = columnsOf(this.mail, section).indexOf(node.parent);
    const next = all[all.indexOf(section) + by];
    const columns = next ? columnsOf(this.mail, next) : [];
    const goal = columns[column] ?? columns.at(-1);
    if (goal) this.move(node, goal, by > 0 ? this.mail.within(goal)[0] ?? null : null);
    else this.say("stays");
  }

  aside(by) {
    const { node } = this;
    const columns = HOLDS_BLOCKS.includes(node.parent.name) ? columnsOf(this.mail, bandOf(node.parent)) : [];
    const goal = columns[columns.indexOf(node.parent) + by];
    if (!goal) this.say("stays");
    else this.move(node, goal, this.mail.within(goal)[this.mail.within(node.parent).indexOf(node)] ?? null);
  }

  move(node, container, before) {
    const result = this.mail.moved(node, container, before);
    if (!result) return;
    const moved = this.settle(result);
    const siblings = this.mail.within(moved.parent);
    const [place, count] = [siblings.indexOf(moved) + 1, siblings.length];
    if (!HOLDS_BLOCKS.includes(moved.parent.name)) this.say(moved.parent.name === "mj-wrapper" ? "moved-frame" : "moved-section", { place, count });
    else {
      const section = bandOf(moved.parent);
      this.say("moved", {
        label: this.labelOf(moved), place, count, column: columnsOf(this.mail, section).indexOf(moved.parent) + 1, section: bands(this.mail).indexOf(section) + 1,
      });
    }
  }

  /** Dropped by its grip. */
  land(item, list, before) {
    const at = (path) => this.mail.at(path.split(".").map(Number));
    const node = at(item.dataset.path ?? item.dataset.section);
    const holder = list.dataset.list ?? list.dataset.bands;
    const container = holder === undefined ? this.mail.body : at(holder);
    const next = before && at(before.dataset.path ?? before.dataset.section);
    const isAbove = next && next.parent !== container; // in front of the head: first in the body
    this.move(node, container, isAbove ? this.mail.within(container)[0] ?? null : next);
  }

  // -- adding, doubling, deleting ----------------------------------------------------------------------------------------

  fresh(name) {
    const words = encoded(this.dataset.newText);
    return {
      section: "<mj-section><mj-column></mj-column></mj-section>",
      "mj-text": `<mj-text>${words}</mj-text>`,
      "mj-image": '<mj-image src="" alt="" />',
      "mj-button": `<mj-button href="https://">${encoded(this.dataset.newLabel)}</mj-button>`,
      "mj-table": `<mj-table cellpadding="8">${`<tr>${`<td>${words}</td>`.repeat(2)}</tr>`.repeat(2)}</mj-table>`,
      "mj-divider": '<mj-divider border-width="1px" border-color="#d0d5dd" />',
      "mj-spacer": '<mj-spacer height="20px" />',
    }[name];
  }

  add(name) {
    const [container, before] = name === "section" ? this.placeOfSection() : this.placeOfBlock();
    const words = name === "section" || HOLDS_BLOCKS.includes(container.name) ? this.fresh(name) : `<mj-section><mj-column>${this.fresh(name)}</mj-column></mj-section>`;
    const node = this.settle(this.mail.inserted(container, before, words), { open: name !== "section" });
    const added = name === "section" ? this.mail.within(node)[0] : node.name === "mj-section" ? this.mail.within(this.mail.within(node)[0])[0] : node;
    this.choose(this.mail.path(added).join("."));
    if (name !== "section") this.panel.focus();
    this.say("added", { label: this.word(name === "section" ? "mj-section" : name) });
  }

  /** Behind the section that is chosen, or that holds what is chosen, in its frame; at the end of a chosen frame; else at the end. */
  placeOfSection() {
    let node = this.node;
    if (node && kind(node) === "frame") return [node, null];
    while (node && node.parent !== this.mail.body && !(isBand(node) && node.parent.name === "mj-wrapper")) node = node.parent;
    const container = node?.parent ?? this.mail.body;
    const parts = this.mail.within(container);
    return [container, (node && parts[parts.indexOf(node) + 1]) ?? null];
  }

  /** Behind the chosen part, in the chosen column, else at the end of the last one; without any, straight into the body. */
  placeOfBlock() {
    const { node } = this;
    if (HOLDS_BLOCKS.includes(node?.parent?.name)) {
      const siblings = this.mail.within(node.parent);
      return [node.parent, siblings[siblings.indexOf(node) + 1] ?? null];
    }
    if (node && kind(node) === "column") return [node, null];
    const all = bands(this.mail);
    const own = node && bandOf(node);
    const section = own ?? (node && kind(node) === "frame" ? all.findLast((band) => band.parent === node) : all.at(-1));
    const column = section && columnsOf(this.mail, section).at(own ? 0 : -1);
    return column ? [column, null] : this.placeOfSection();
  }

  double() {
    const node = this.settle(this.mail.doubled(this.node));
    this.say("doubled", { label: this.labelOf(node) });
  }

  delete() {
    const { node } = this;
    const siblings = this.mail.within(node.parent);
    const index = siblings.indexOf(node);
    const parent = this.mail.path(node.parent).join(".");
    const label = this.labelOf(node);
    this.take(this.mail.without(node));
    this.panel.close();
    const rest = siblings.length - 1;
    const next = rest ? `${parent}.${Math.min(index, rest - 1)}` : parent;
    this.choose(next, { open: false });
    if (!this.face(next)) this.canvas.place.querySelector("[data-path]")?.focus();
    this.say("deleted", { label });
  }

  /** So many columns; what stood in those that go moves to the end of the last that stays. */
  setColumns(count) {
    const path = this.chosen;
    const before = this.field.value;
    let mail = this.mail;
    const row = () => rowOf(mail, mail.at(path.split(".").map(Number)));
    const columns = () => mail.within(row()).filter((child) => kind(child) === "column");
    while (columns().length < count) {
      const all = mail.within(row());
      const behind = all[all.indexOf(columns().at(-1)) + 1] ?? null;
      mail = new Mail(mail.inserted(row(), behind, "<mj-column></mj-column>").text);
    }
    while (columns().length > count) mail = this.merged(mail, ...columns().slice(-2));
    if (mail.text === before) return;
    this.take(mail.text);
    this.choose(path, { focus: false });
    this.panel.place.querySelector("[data-columns]").focus();
  }

  /** Whether the columns of the chosen section stay beside each other on phones: a group around them, or none. */
  setTogether(isTogether) {
    const section = this.node;
    const row = rowOf(this.mail, section);
    if (isTogether === (row !== section) || !this.mail.within(row).length) return;
    this.take(isTogether ? this.mail.wrapped(section, "mj-group") : this.mail.unwrapped(row));
    this.choose(this.chosen, { focus: false });
    this.panel.place.querySelector("[data-together]").focus();
  }

  /** Who sees the chosen part: everybody, or the readers of a block. */
  setShownTo(name) {
    const { node } = this;
    if (name === this.mail.shownTo(node)) return;
    const fresh = this.settle(this.mail.withShownTo(node, name));
    this.panel.place.querySelector("[data-shown-to]")?.focus();
    this.say(name ? "shown-to-some" : "shown-to-all", { label: this.labelOf(fresh), block: name });
  }

  merged(mail, stays, goes) {
    const inside = mail.content(goes).trim();
    const moved = inside ? mail.insertion(stays, null, inside).piece : null;
    return new Mail(mail.spliced(...(moved ? [moved] : []), mail.cut(goes)));
  }

  // -- images ----------------------------------------------------------------------------------------------------------

  chooseImage() {
    this.dialog.showModal();
    this.dialog.dispatchEvent(new Event("image-dialog:open"));
  }

  onDialog(event) {
    const image = event.target.closest("[data-image]");
    if (image) this.takeImage(image.dataset);
    if (image || event.target.closest("[data-close]") || event.target === this.dialog) this.dialog.close();
  }

  takeImage({ image, alt }) {
    const { node } = this;
    if (node?.name === "mj-hero") this.take(this.mail.withAttribute(node, "background-url", image));
    else if (node?.name === "mj-image") this.takePicture(node, image, alt);
    this.choose(this.chosen, { focus: false });
  }

  takePicture(node, image, alt) {
    const had = node.attributes.get("alt")?.value ?? "";
    const first = new Mail(this.mail.withAttribute(node, "src", image));
    const text = had || !alt ? first.text : first.withAttribute(first.at(this.chosen.split(".").map(Number)), "alt", alt);
    this.take(text);
  }
}

customElements.define("mail-editor", MailEditor);
