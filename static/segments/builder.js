// <conditions-builder>: rows to click and type in, kept equal to the JSON in its textarea, which is what the form sends.
// New and changed rows come from the server as markup; what is typed never waits for it.

import { Picker, Typeahead } from "./builder_choices.js";
import { childrenOf, documentOf, levelsAbove } from "./builder_document.js";
import { Draft } from "./builder_draft.js";
import { Drag } from "./builder_drag.js";
import { History } from "./builder_history.js";
import { Menu } from "./builder_menu.js";
import { Structure } from "./builder_structure.js";
import { Text } from "./builder_text.js";

const SIZE_FROM = 0.75; // of the most conditions a rule may have: from here on their number is shown

class ConditionsBuilder extends Structure {
  connectedCallback() {
    if (this.isReady) return;
    this.isReady = true;
    this.canvas = this.querySelector("[data-canvas]");
    this.textarea = this.querySelector("[data-document]");
    this.summary = this.querySelector("[data-summary]");
    this.people = this.querySelector("[data-people]");
    this.message = this.querySelector("[data-message]");
    this.words = Object.fromEntries([...this.querySelector("template[data-words]").content.children].map((one) => [one.dataset.word, one.textContent]));
    this.picker = new Picker(this, this.querySelector("[data-picker]"), (count) => this.say("found", { count }));
    this.typeahead = new Typeahead(this, this.querySelector("[data-options]"), this.dataset.valuesUrl, (...said) => this.take(...said));
    this.menu = new Menu(this, this.querySelector("[data-menu]"), (what, button) => this.act(what, button));
    this.drag = new Drag(this, this.canvas, {
      land: (item, list, before) => this.move(item, () => list.insertBefore(item, before)),
      fits: (item, list) => this.fitsIn(list.closest('[data-node="group"]'), documentOf(item.querySelector("[data-node]"))),
    });
    this.text = new Text(this.textarea, this.querySelector("[data-gutter]"));
    this.history = new History();
    this.draft = new Draft(this.closest("form")?.getAttribute("action") || location.pathname, this.textarea.name);
    this.queue = Promise.resolve();
    this.replaced = new WeakMap();
    this.turn = 0;

    this.addEventListener("click", (event) => this.onClick(event));
    this.addEventListener("change", (event) => this.onChange(event));
    this.addEventListener("input", (event) => this.onInput(event));
    this.addEventListener("keydown", (event) => this.onKey(event));
    this.addEventListener("focusin", (event) => this.onFocus(event));
    this.addEventListener("focusout", (event) => this.onBlur(event));
    this.addEventListener("copy", (event) => this.onCopy(event));
    this.addEventListener("cut", (event) => this.onCopy(event));
    this.addEventListener("paste", (event) => this.onPaste(event));
    this.people?.addEventListener("toggle", () => this.askPeople());
    this.leaving = new AbortController();
    this.closest("form")?.addEventListener("submit", (event) => this.onSubmit(event), { capture: true, signal: this.leaving.signal });
    this.number();
    this.show(this.dataset.tab);
    this.offerDraft();
    this.preview();
  }

  disconnectedCallback() {
    clearTimeout(this.timer);
    clearTimeout(this.doneTimer);
    this.asking?.abort();
    this.askingPeople?.abort();
    this.leaving?.abort();
  }

  // -- the document ----------------------------------------------------------------------------------------------------

  get root() {
    return this.canvas.querySelector("[data-node]");
  }

  /** Write the rows into the textarea; an empty rule is an empty text unless “everybody” was picked by name. */
  write(control) {
    const { root } = this;
    const isEmpty = root.dataset.node === "group" && childrenOf(root).length === 0;
    const text = isEmpty && root.dataset.everybody === undefined ? "" : JSON.stringify(documentOf(root), null, 2);
    if (text === this.textarea.value) return false;
    this.history.note(this.textarea.value, control);
    this.setText(text);
    return true;
  }

  setText(text) {
    this.textarea.value = text;
    this.text.draw();
    this.draft.keep(text);
    this.showHistory();
  }

  showHistory() {
    this.querySelector(".builder-history [data-do=undo]").disabled = this.history.peek(true) === undefined;
    this.querySelector("[data-do=redo]").disabled = this.history.peek(false) === undefined;
  }

  /** After any change of the rows; `control` is the input somebody types in, so that one word is one step back. */
  changed(control = null) {
    this.number();
    if (this.write(control)) this.hideDone();
    this.tellOthers();
    this.schedule();
  }

  tellOthers() {
    this.dispatchEvent(new CustomEvent("conditions:change", { bubbles: true, detail: { text: this.textarea.value } }));
  }

  /** Rows are numbered through the whole rule: the table of people names them by it. Groups say their word. */
  number() {
    const rows = [...this.canvas.querySelectorAll("[data-number]")];
    rows.forEach((place, index) => {
      place.textContent = index + 1;
      const row = place.closest("[data-node]");
      row.setAttribute("aria-label", this.worded("row", { number: index + 1, label: row.dataset.label }));
    });
    for (const group of this.canvas.querySelectorAll('[data-node="group"]')) {
      if (group !== this.root) group.setAttribute("aria-label", this.worded("group", { mode: this.modeOf(group) }));
      const button = group.querySelector(":scope > [data-foot] [data-do=add-group]");
      const isDeepest = levelsAbove(group) + 2 > Number(this.dataset.mostLevels);
      button.setAttribute("aria-disabled", String(isDeepest));
      button.title = isDeepest ? this.worded("levels", { most: this.dataset.mostLevels }) : "";
    }
    const [place, most] = [this.querySelector("[data-size]"), Number(this.dataset.mostLeaves)];
    place.hidden = rows.length < most * SIZE_FROM;
    place.textContent = this.worded("size", { count: rows.length, most });
    place.classList.toggle("is-full", rows.length >= most);
  }

  modeOf(group) {
    return group.querySelector("[data-mode]").selectedOptions[0].textContent;
  }

  // -- tabs ------------------------------------------------------------------------------------------------------------

  show(tab) {
    this.tab = tab;
    for (const button of this.querySelectorAll('[role="tab"][data-tab]')) {
      const isShown = button.dataset.tab === tab;
      button.setAttribute("aria-selected", String(isShown));
      button.classList.toggle("active", isShown);
      button.tabIndex = isShown ? 0 : -1;
      this.querySelector(`#${CSS.escape(button.getAttribute("aria-controls"))}`).hidden = !isShown;
    }
  }

  async turnTo(tab) {
    if (tab === this.tab) return;
    await this.queue;
    const { value } = this.textarea;
    if (tab === "rows") {
      if (this.isTooLarge() || !(await this.replaceAll(value, value.trim() !== ""))) return; // the text is no document yet
      if (this.asText !== value) this.history.note(this.asText);
      this.showHistory();
    } else this.asText = value;
    this.tell("");
    this.show(tab);
    this.text.draw();
    this.preview();
  }

  async goToLine(line) {
    await this.turnTo("json");
    this.text.go(line);
  }

  // -- what people do --------------------------------------------------------------------------------------------------

  onClick(event) {
    const tab = event.target.closest('[role="tab"]');
    if (tab?.dataset.tab) this.turnTo(tab.dataset.tab);
    else if (tab?.dataset.which) this.turnPeople(tab);
    const button = event.target.closest("[data-do]");
    if (button && !button.disabled) this.act(button.dataset.do, button);
    const step = event.target.closest("button[data-change]");
    if (step) this.redraw(step.closest("[data-node]"), step.dataset.change, step.dataset.to ?? "");
  }

  turnPeople(tab) {
    for (const other of this.people.querySelectorAll('[role="tab"]')) {
      const isShown = other === tab;
      other.setAttribute("aria-selected", String(isShown));
      other.classList.toggle("active", isShown);
      other.tabIndex = isShown ? 0 : -1;
    }
    this.askPeople();
  }

  onChange(event) {
    const control = event.target;
    if (control.matches("[data-mode]")) this.setMode(control.closest("[data-node]"), control.value);
    else if (control.matches("select[data-change]")) {
      const [from, to] = [control.dataset.shape, control.selectedOptions[0].dataset.shape];
      if (from !== undefined && from === to) this.changed(); // the same inputs fit: nothing to draw anew
      else this.redraw(control.closest("[data-node]"), control.dataset.change, control.value);
    } else if (control.matches("[data-node=json] textarea")) this.readJson(control);
    else if (this.canvas.contains(control) && !control.matches("[data-chips]")) this.changed(control);
  }

  /** What was written by hand becomes rows when rows can show it. */
  readJson(textarea) {
    const row = textarea.closest("[data-node]");
    this.changed(textarea);
    return this.enqueue(async () => {
      const element = this.current(row);
      const fresh = element.isConnected && (await this.renderedNow(element, {}));
      if (!fresh || fresh.dataset.node === "json") return;
      this.replaceNode(element, fresh);
      this.changed();
    });
  }

  onInput(event) {
    const control = event.target;
    if (control === this.textarea) {
      this.text.draw();
      this.text.mark([]);
      this.draft.keep(control.value);
      this.tellOthers();
      this.schedule();
    } else if (this.canvas.contains(control)) {
      if (control.dataset.values !== undefined) {
        this.typeahead.ask(control, { wait: 150 });
        if (control.dataset.chips !== undefined) return;
        const shadow = control.previousElementSibling?.matches("[data-shadow]") ? control.previousElementSibling : null;
        if (shadow) shadow.value = control.value;
      }
      if (!control.matches("select")) this.changed(control);
    }
  }

  onFocus(event) {
    const control = event.target;
    if (control.dataset.values !== undefined) this.typeahead.ask(control, { wait: 0 });
  }

  onBlur(event) {
    const control = event.target;
    if (control.dataset.values === undefined) return;
    this.typeahead.close();
    if (control.dataset.chips !== undefined && control.value.trim()) this.addChip(control, control.value.trim());
  }

  /** A suggestion was chosen for an input. */
  take(input, value, label) {
    if (input.dataset.chips !== undefined) this.addChip(input, value, label);
    else {
      const shadow = input.previousElementSibling?.matches("[data-shadow]") ? input.previousElementSibling : null;
      if (shadow) shadow.value = value;
      input.value = shadow ? label : value;
      this.changed();
    }
  }

  addChip(input, value, label = value) {
    const list = input.closest("[data-list]");
    input.value = "";
    const same = [...list.querySelectorAll("[data-element]")].some((chip) => chip.dataset.value.toLowerCase() === value.toLowerCase());
    if (same || !value) return;
    const chip = list.querySelector("template").content.firstElementChild.cloneNode(true);
    chip.dataset.value = value;
    chip.querySelector("[data-label]").textContent = label;
    const remove = chip.querySelector("button");
    remove.setAttribute("aria-label", `${remove.getAttribute("aria-label")} ${label}`);
    input.before(chip);
    this.changed();
  }

  onKey(event) {
    const control = event.target;
    if (event.altKey && event.shiftKey && this.shortcut(event)) {
      event.preventDefault();
      return;
    }
    if (control.matches("[data-grip]") && this.gripKey(event, control)) {
      event.preventDefault();
      return;
    }
    const help = control.closest("details.builder-help[open]");
    if (event.key === "Escape" && help) {
      help.open = false;
      help.querySelector("summary").focus();
      return;
    }
    if (control.getAttribute("role") === "tab") this.tabKey(event);
    if (control.dataset.values !== undefined && this.typeahead.key(event)) {
      event.preventDefault();
      event.stopPropagation();
    } else if (control.dataset.chips !== undefined && (event.key === "Enter" || event.key === ",") && control.value.trim()) {
      event.preventDefault();
      const same = this.typeahead.same(control.value.trim());
      this.typeahead.close();
      this.addChip(control, same?.dataset.value ?? control.value.trim(), same?.dataset.label);
    } else if (control.dataset.chips !== undefined && event.key === "Backspace" && control.value === "") {
      const chip = [...control.closest("[data-list]").querySelectorAll("[data-element]")].pop();
      if (chip) this.act("remove-chip", chip.querySelector("button"));
    } else if (event.key === "Enter" && control.matches("input")) event.preventDefault(); // Enter in a row must not send the form
  }

  tabKey(event) {
    if (event.key !== "ArrowRight" && event.key !== "ArrowLeft") return;
    const tabs = [...event.target.closest('[role="tablist"]').querySelectorAll('[role="tab"]')];
    const step = event.key === "ArrowRight" ? 1 : tabs.length - 1;
    const next = tabs[(tabs.indexOf(event.target) + step) % tabs.length];
    next.focus();
    next.click();
  }

  shortcut(event) {
    const what = {
      ArrowUp: "up", ArrowDown: "down", ArrowRight: "nest", ArrowLeft: "out", KeyD: "duplicate", Delete: "delete", Backspace: "delete",
      KeyN: "add", KeyG: "add-group", KeyJ: "flip", KeyX: "negate", KeyU: "dissolve", KeyZ: "undo", KeyY: "redo",
    }[event.code];
    if (!what || this.tab !== "rows" || event.target.closest(".builder-popup")) return false;
    this.act(what, event.target.closest("[data-node]") ?? this.root);
    return true;
  }

  gripKey(event, grip) {
    const what = { ArrowUp: "up", ArrowDown: "down", ArrowRight: "nest", ArrowLeft: "out" }[event.key];
    if (!what || event.altKey || event.ctrlKey || event.metaKey) return false;
    this.act(what, grip);
    return true;
  }

  onSubmit(event) {
    if (this.isTooLarge()) {
      event.preventDefault();
      event.stopPropagation();
      this.textarea.focus();
      return;
    }
    this.draft.sent();
  }

  // -- what was not saved ----------------------------------------------------------------------------------------------

  offerDraft() {
    if (this.dataset.unsaved !== undefined) {
      this.draft.keep(this.textarea.value); // it came back from the server without being saved
      return;
    }
    this.lost = this.draft.lost(this.textarea.value);
    this.querySelector("[data-draft]").hidden = this.lost === null;
  }

  async restore() {
    const before = this.textarea.value;
    this.querySelector("[data-draft]").hidden = true;
    this.history.note(before);
    this.setText(this.lost);
    if (!(await this.replaceAll(this.lost, this.lost !== ""))) this.show("json");
    this.schedule();
    this.root.querySelector("[data-start]")?.focus();
  }

  forget() {
    this.draft.forget();
    this.querySelector("[data-draft]").hidden = true;
  }
}

customElements.define("conditions-builder", ConditionsBuilder);
