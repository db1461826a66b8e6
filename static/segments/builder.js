// <conditions-builder>: rows to click and type in, kept equal to the JSON in its textarea, which is what the form sends.
// New and changed rows come from the server as markup; what is typed never waits for it.

import { Picker, Typeahead } from "./builder_choices.js";
import { nodeOf, putIntoEvent, putOnClipboard, takeFromClipboard } from "./builder_clipboard.js";
import { childrenOf, documentOf, levelsAbove, pathsOf, sizeOf } from "./builder_document.js";
import { Draft } from "./builder_draft.js";
import { Drag } from "./builder_drag.js";
import { History } from "./builder_history.js";
import { Menu } from "./builder_menu.js";
import { Text } from "./builder_text.js";

const PREVIEW_WAIT = 350; // ms after the last key: shorter asks in the middle of a word
const DONE_SHOWN = 12_000; // ms that “Deleted. Undo” stays
const SIZE_FROM = 0.75; // of the most conditions a rule may have: from here on their number is shown

class ConditionsBuilder extends HTMLElement {
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

  // -- words -----------------------------------------------------------------------------------------------------------

  worded(word, values = {}) {
    return (this.words[word] ?? word).replace(/\{(\w+)\}/g, (_all, name) => values[name] ?? "");
  }

  /** Told to those who listen; what is seen says it already. */
  say(word, values) {
    this.querySelector("[data-status]").textContent = this.worded(word, values);
  }

  /** Something that may have been a slip: seen and heard, with the way back. */
  showDone(word) {
    this.say(word);
    this.querySelector("[data-done-words]").textContent = this.worded(word);
    this.querySelector("[data-done]").hidden = false;
    clearTimeout(this.doneTimer);
    this.doneTimer = setTimeout(() => this.hideDone(), DONE_SHOWN);
  }

  hideDone() {
    const place = this.querySelector("[data-done]");
    if (!place.contains(document.activeElement)) place.hidden = true;
  }

  // -- how large a rule may be ------------------------------------------------------------------------------------------

  /** Whether a node may come into a group; says why not. `isMoved`: its rows are counted already. */
  fitsIn(group, node, { isNew = false, more = 0 } = {}) {
    const { leaves, levels } = sizeOf(node);
    return this.allowed(isNew ? leaves : 0, levelsAbove(group) + levels + more);
  }

  allowed(leaves, levels) {
    const { mostLeaves, mostLevels } = this.dataset;
    if (leaves && this.canvas.querySelectorAll("[data-number]").length + leaves > Number(mostLeaves)) this.refuse("leaves", mostLeaves);
    else if (levels > Number(mostLevels)) this.refuse("levels", mostLevels);
    else return true;
    return false;
  }

  refuse(word, most) {
    this.tell(this.worded(word, { most }));
  }

  // -- asking the server -----------------------------------------------------------------------------------------------

  async post(url, fields, signal) {
    const body = new FormData();
    body.set("offers", this.dataset.offers);
    for (const [name, value] of Object.entries(fields)) [value].flat().forEach((one) => body.append(name, one));
    const token = this.closest("form")?.querySelector('[name="csrfmiddlewaretoken"]')?.value ?? this.dataset.token;
    const answer = await fetch(url, { method: "POST", body, signal, headers: { "X-CSRFToken": token } });
    if (!answer.ok && answer.status !== 422) throw new Error(`${answer.status}`);
    return { ok: answer.ok, markup: await answer.text() };
  }

  /** The markup of one node, as an element; null when the server refused it (the reason is shown). */
  async rendered(fields) {
    this.setAttribute("aria-busy", "true");
    try {
      const { ok, markup } = await this.post(this.dataset.nodeUrl, fields);
      if (ok) {
        this.tell("");
        const template = document.createElement("template");
        template.innerHTML = markup.trim();
        return template.content.firstElementChild;
      }
      this.tell(markup);
    } catch {
      this.tell(this.dataset.offline);
    } finally {
      this.removeAttribute("aria-busy");
    }
    return null;
  }

  tell(text) {
    this.message.textContent = text;
    this.message.hidden = !text;
  }

  /** Another document in the whole canvas (undo, the JSON tab, “everybody”). */
  async replaceAll(text, everybody) {
    const fresh = await this.rendered({ root: "1", node: text, everybody: everybody ? "1" : "" });
    if (!fresh) return false;
    this.canvas.replaceChildren(fresh);
    this.number();
    return true;
  }

  /** One request for markup after the other: an answer never meets a row that another one has replaced. */
  enqueue(work) {
    this.queue = this.queue.then(work, work);
    return this.queue;
  }

  /** The element that stands where another one stood before it was drawn anew. */
  current(element) {
    let found = element;
    while (!found.isConnected && this.replaced.has(found)) found = this.replaced.get(found);
    return found;
  }

  /** The markup for a node as it is when the answer comes: whatever was typed meanwhile is asked for again. */
  async renderedNow(element, fields) {
    for (;;) {
      const node = JSON.stringify(documentOf(element));
      const fresh = await this.rendered({ ...fields, node });
      if (!fresh || !element.isConnected) return null;
      if (JSON.stringify(documentOf(element)) === node) return fresh;
    }
  }

  replaceNode(element, fresh) {
    element.replaceWith(fresh);
    this.replaced.set(element, fresh);
  }

  /** A structural change inside one leaf: the server draws the row anew; the focus and what was typed meanwhile stay. */
  redraw(row, change, to) {
    return this.enqueue(async () => {
      const element = this.current(row);
      if (!element.isConnected) return;
      const fresh = await this.renderedNow(element, { change, to });
      if (!fresh) return;
      const held = element.contains(document.activeElement) ? document.activeElement : null;
      const name = held?.dataset.focus;
      this.replaceNode(element, fresh);
      this.changed();
      const start = fresh.querySelector("[data-start]");
      if (change.endsWith(".add")) {
        const list = fresh.querySelector(`[data-path="${CSS.escape(change.slice(0, -3))}"]`);
        const item = list?.lastElementChild;
        (item?.querySelector("[data-fresh]") ?? item?.querySelector("select") ?? list?.querySelector("input") ?? start ?? fresh).focus();
      } else if (change === "field") (start ?? fresh).focus();
      else if (held || document.activeElement === document.body) {
        const again = name && fresh.querySelector(`[data-focus="${CSS.escape(name)}"]`);
        (again || start || fresh).focus();
      }
    });
  }

  schedule() {
    clearTimeout(this.timer);
    this.asking?.abort();
    this.turn += 1;
    this.canvas.querySelectorAll("[data-verdict]").forEach((place) => place.classList.add("is-old"));
    this.summary.classList.add("is-old");
    this.timer = setTimeout(() => this.preview(), PREVIEW_WAIT);
  }

  /** Counts, problems and the sentence; only the latest answer is shown. */
  async preview(how = "count") {
    clearTimeout(this.timer);
    this.asking?.abort();
    this.asking = new AbortController();
    const turn = ++this.turn;
    const nodes = this.tab === "rows" && this.root ? pathsOf(this.root) : [];
    if (this.isTooLarge()) return;
    this.summary.setAttribute("aria-busy", "true");
    try {
      const paths = nodes.map(([path]) => path);
      const { markup } = await this.post(this.dataset.previewUrl, { text: this.textarea.value, path: paths, how }, this.asking.signal);
      if (turn !== this.turn) return;
      const answer = document.createElement("template");
      answer.innerHTML = markup;
      const waiting = this.showParts(nodes, answer.content);
      const summary = answer.content.querySelector("[data-part=summary]");
      this.summary.replaceChildren(...summary.childNodes);
      this.summary.dataset.state = summary.dataset.state;
      this.summary.classList.remove("is-old");
      this.text.mark(nodes.length ? [] : [...this.summary.querySelectorAll("[data-line]")].map((one) => Number(one.dataset.line)));
      this.querySelector("[data-status]").textContent = this.summary.querySelector("[data-said]")?.textContent.trim().replace(/\s+/g, " ") ?? "";
      this.askPeople();
      this.askRest(waiting, turn);
    } catch (error) {
      if (error.name === "AbortError" || turn !== this.turn) return;
      this.summary.textContent = this.dataset.offline;
      this.summary.dataset.state = "problem";
    }
    if (turn === this.turn) this.summary.removeAttribute("aria-busy");
  }

  /** Puts each part's answer into its row; gives back the rows that are still to be counted. */
  showParts(nodes, content) {
    const waiting = [];
    for (const part of content.querySelectorAll("[data-for]")) {
      const node = nodes[part.dataset.for];
      if (node && part.dataset.state === "waiting") waiting.push(node);
      this.showVerdict(node?.[1], part);
    }
    return waiting;
  }

  /** Rows that did not fit into the first answer, as often as it takes; a change puts an end to it. */
  async askRest(nodes, turn) {
    let waiting = nodes;
    try {
      while (waiting.length && turn === this.turn) {
        const fields = { text: this.textarea.value, path: waiting.map(([path]) => path), how: "rest" };
        const { markup } = await this.post(this.dataset.previewUrl, fields, this.asking.signal);
        if (turn !== this.turn) return;
        const answer = document.createElement("template");
        answer.innerHTML = markup;
        waiting = this.showParts(waiting, answer.content);
      }
    } catch {
      // the number of the whole rule stands; the rows say that they are still being counted
    }
  }

  /** A text that no rule has is not sent at all. */
  isTooLarge() {
    const [count, most] = [this.textarea.value.length, Number(this.dataset.mostCharacters)];
    const isTooLarge = count > most;
    const words = this.worded("large", { count: count.toLocaleString(document.documentElement.lang || undefined), most: most.toLocaleString(document.documentElement.lang || undefined) });
    this.textarea.setCustomValidity(isTooLarge ? words : "");
    if (!isTooLarge) return false;
    this.summary.textContent = words;
    this.summary.dataset.state = "problem";
    this.summary.classList.remove("is-old");
    this.summary.removeAttribute("aria-busy");
    return true;
  }

  showVerdict(element, part) {
    const place = element?.querySelector("[data-verdict]");
    if (!place) return;
    place.replaceChildren(...part.childNodes);
    place.classList.remove("is-old");
    element.dataset.state = part.dataset.state;
    for (const control of element.querySelectorAll("[aria-invalid]")) control.removeAttribute("aria-invalid");
    if (part.dataset.state !== "problem" || element.dataset.node === "group") return;
    for (const control of element.querySelectorAll(`[data-focus="${CSS.escape(part.dataset.at || "value")}"]`)) {
      control.setAttribute("aria-invalid", "true");
      control.setAttribute("aria-describedby", place.id);
    }
  }

  async askPeople() {
    if (!this.people?.open) return;
    this.askingPeople?.abort();
    this.askingPeople = new AbortController();
    const place = this.people.querySelector("[data-people-list]");
    const which = this.people.querySelector('[role="tab"][aria-selected="true"]').dataset.which;
    place.setAttribute("aria-busy", "true");
    try {
      const { markup } = await this.post(this.dataset.peopleUrl, { text: this.textarea.value, which }, this.askingPeople.signal);
      place.innerHTML = markup;
      place.removeAttribute("aria-busy");
    } catch (error) {
      if (error.name === "AbortError") return;
      place.textContent = this.dataset.offline;
      place.removeAttribute("aria-busy");
    }
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

  // -- clipboard -------------------------------------------------------------------------------------------------------

  /** The row or group that copy, cut and paste mean; null inside text, where they mean the text. */
  meant(event) {
    const isText = event.target.matches?.("textarea, input:not([type=checkbox], [type=radio])") || event.target.closest?.(".builder-popup, [data-people]");
    if (isText || this.tab !== "rows" || !document.getSelection().isCollapsed) return null;
    return this.canvas.contains(event.target) ? event.target.closest("[data-node]") : null;
  }

  onCopy(event) {
    const element = this.meant(event);
    if (!element) return;
    putIntoEvent(event, documentOf(element));
    if (event.type === "cut" && element !== this.root) this.remove(element.closest("[data-place]"));
    else this.say("copied");
  }

  onPaste(event) {
    const text = event.clipboardData.getData("text/plain");
    if (event.target.matches?.("[data-chips]")) {
      const parts = text.split(/[\n\t;]/.test(text) ? /[\n\t;]+/ : /,/).map((one) => one.trim()).filter(Boolean);
      if (parts.length < 2) return;
      event.preventDefault();
      for (const part of parts) this.addChip(event.target, part);
      return;
    }
    const element = this.meant(event);
    const node = element && nodeOf(text);
    if (!node) return;
    event.preventDefault();
    this.paste(element, node);
  }

  /** A node from the clipboard, below the row or group, or at the end of the rule. */
  paste(element, node) {
    if (!node) {
      this.tell(this.worded("nothing"));
      return undefined;
    }
    return this.enqueue(async () => {
      const beside = this.current(element);
      const item = beside === this.root ? null : beside.closest("[data-place]");
      const group = item?.closest('[data-node="group"]') ?? this.root;
      if (!this.fitsIn(group, node, { isNew: true })) return;
      const fresh = await this.rendered({ node: JSON.stringify(node) });
      if (!fresh) return;
      delete group.dataset.everybody;
      const place = this.placed(fresh);
      if (item) item.after(place);
      else group.querySelector("[data-children]").append(place);
      this.changed();
      this.say("pasted");
      fresh.querySelector("[data-start]")?.focus();
    });
  }

  // -- structure -------------------------------------------------------------------------------------------------------

  act(what, button) {
    const element = button.closest("[data-node]");
    const group = element?.closest('[data-node="group"]') ?? this.root;
    const item = element?.closest("[data-place]");
    const actions = {
      pick: () => this.picker.open(button, (choice) => this.redraw(element, "field", choice)),
      menu: () => this.openMenu(button, element, item),
      add: () => this.add(group, button, false),
      "add-group": () => this.add(group, button, true),
      everybody: () => this.everybody(),
      flip: () => this.flip(element.dataset.node === "leaf" || element.dataset.node === "json" ? item.closest('[data-node="group"]') : group, button),
      negate: () => this.negate(element),
      delete: () => item && this.remove(item),
      up: () => item && this.step(item, false),
      down: () => item && this.step(item, true),
      out: () => item && this.moveOut(item),
      nest: () => item && this.nest(element),
      dissolve: () => this.dissolve(group),
      duplicate: () => item && this.duplicate(element),
      copy: () => putOnClipboard(documentOf(element)).then(() => this.say("copied")),
      cut: () => item && putOnClipboard(documentOf(element)).then(() => this.remove(item)),
      paste: () => takeFromClipboard().then((node) => this.paste(element, node)),
      "remove-chip": () => this.removeChip(button),
      undo: () => this.back(true),
      redo: () => this.back(false),
      restore: () => this.restore(),
      forget: () => this.forget(),
      line: () => this.goToLine(Number(button.dataset.line)),
      estimate: () => this.preview("estimate"),
      exact: () => this.preview("exact"),
    };
    actions[what]?.();
  }

  openMenu(button, element, item) {
    const group = item.closest('[data-node="group"]');
    const fits = ["nest", "copy", "cut", "paste", ...(group === this.root ? [] : ["up", "down", "out"])];
    if (item.previousElementSibling) fits.push("up");
    if (item.nextElementSibling) fits.push("down");
    if (element.dataset.node === "group") fits.push("dissolve");
    this.menu.open(button, { fits, hidden: element.dataset.node === "group" ? [] : ["dissolve"] });
  }

  /** A list place as the server draws it round a node. */
  placed(element) {
    const item = this.querySelector("template[data-place-template]").content.firstElementChild.cloneNode(true);
    item.append(element);
    return item;
  }

  add(group, button, isGroup) {
    if (!this.allowed(1, levelsAbove(group) + (isGroup ? 2 : 1))) return;
    const opener = button.matches("button") && button.closest("[data-node]") === group ? button : group.querySelector(":scope > [data-foot] [data-do=add]");
    this.picker.open(opener, (choice) => {
      const other = group.dataset.join === "all" ? "any" : "all";
      return this.enqueue(async () => {
        const fresh = await this.rendered({ change: "field", to: choice, node: "{}", group: isGroup ? other : "" });
        if (!fresh || !group.isConnected) return;
        delete group.dataset.everybody;
        group.querySelector("[data-children]").append(this.placed(fresh));
        this.changed();
        const row = fresh.querySelector('[data-node="leaf"], [data-node="json"]') ?? fresh;
        row.querySelector("[data-start]")?.focus();
      });
    });
  }

  async everybody() {
    if (await this.replaceAll('{"all": []}', true)) this.changed();
  }

  /** AND becomes OR for the whole group: its word stands between all of its rows. */
  flip(group, button) {
    this.setMode(group, { all: "any", any: "all", none: "not_all", not_all: "none" }[group.querySelector("[data-mode]").value]);
    if (button.isConnected) button.focus();
  }

  setMode(group, mode) {
    const isNegated = mode === "none" || mode === "not_all";
    const levels = sizeOf(documentOf(this.root)).levels + (isNegated && group.dataset.negated !== "true" ? 1 : 0);
    if (!this.allowed(0, levels)) {
      this.showMode(group);
      return;
    }
    group.dataset.join = mode === "all" || mode === "not_all" ? "all" : "any";
    group.dataset.negated = String(isNegated);
    this.showMode(group);
    this.changed();
    this.say("joined", { mode: this.modeOf(group) });
  }

  showMode(group) {
    const isAll = group.dataset.join === "all";
    const isNegated = group.dataset.negated === "true";
    group.querySelector("[data-mode]").value = isNegated ? (isAll ? "not_all" : "none") : isAll ? "all" : "any";
    group.querySelector(":scope > .builder-head [data-do=negate]")?.setAttribute("aria-pressed", String(isNegated));
  }

  negate(element) {
    if (element.dataset.node === "json") return;
    if (element.dataset.node === "group") {
      const modes = { all: "not_all", not_all: "all", any: "none", none: "any" };
      this.setMode(element, modes[element.querySelector("[data-mode]").value]);
      return;
    }
    const isNegated = element.dataset.negated === "true";
    if (!isNegated && !this.allowed(0, levelsAbove(element.closest('[data-node="group"]')) + 2)) return;
    element.dataset.negated = String(!isNegated);
    element.querySelector('[data-do="negate"]').setAttribute("aria-pressed", element.dataset.negated);
    this.changed();
    this.say("negated");
  }

  /** Moves an item; a group that it leaves empty goes, the focus stays where it was. */
  move(item, how) {
    const held = item.contains(document.activeElement) ? document.activeElement : null;
    const from = item.closest('[data-node="group"]');
    how();
    if (from !== this.root && childrenOf(from).length === 0) from.closest("[data-place]").remove();
    this.changed();
    (held ?? item.querySelector("[data-start]"))?.focus();
    const list = item.parentElement;
    const group = item.closest('[data-node="group"]');
    this.say("moved", { place: [...list.children].indexOf(item) + 1, count: list.children.length, level: levelsAbove(group) });
    item.scrollIntoView({ block: "nearest" });
  }

  /** One place up or down through the whole rule: into the group beside it, out of the group at its end. */
  step(item, isDown) {
    const beside = isDown ? item.nextElementSibling : item.previousElementSibling;
    const node = documentOf(item.querySelector("[data-node]"));
    const group = beside?.querySelector("[data-node]");
    if (group?.dataset.node === "group" && levelsAbove(group) + sizeOf(node).levels <= Number(this.dataset.mostLevels)) {
      const list = group.querySelector("[data-children]");
      this.move(item, () => (isDown ? list.prepend(item) : list.append(item)));
    } else if (beside) this.move(item, () => (isDown ? beside.after(item) : beside.before(item)));
    else this.moveOut(item, isDown);
  }

  remove(item) {
    const group = item.closest('[data-node="group"]');
    const neighbour = item.nextElementSibling ?? item.previousElementSibling;
    item.remove();
    this.changed();
    (neighbour?.querySelector("[data-start]") ?? group.querySelector(":scope > [data-foot] [data-do=add]")).focus();
    this.showDone("deleted");
  }

  moveOut(item, isDown = true) {
    const place = item.closest('[data-node="group"]').closest("[data-place]");
    if (place) this.move(item, () => (isDown ? place.after(item) : place.before(item)));
  }

  nest(row) {
    return this.enqueue(async () => {
      const element = this.current(row);
      const group = element.closest("[data-place]").closest('[data-node="group"]');
      if (!this.fitsIn(group, documentOf(element), { more: 1 })) return;
      const join = group.dataset.join === "all" ? "any" : "all";
      const fresh = await this.rendered({ node: JSON.stringify({ [join]: [documentOf(element)] }) });
      if (!fresh || !element.isConnected) return;
      this.replaceNode(element, fresh);
      this.changed();
      fresh.querySelector("[data-foot] [data-do=add]").focus();
    });
  }

  /** The rows of a group take its place; its word and its negation go. */
  dissolve(group) {
    const item = group.closest("[data-place]");
    if (!item) return;
    const inside = [...group.querySelector("[data-children]").children];
    item.after(...inside);
    item.remove();
    this.changed();
    (inside[0]?.querySelector("[data-start]") ?? this.root.querySelector("[data-do=add]")).focus();
  }

  duplicate(row) {
    return this.enqueue(async () => {
      const element = this.current(row);
      const node = documentOf(element);
      const item = element.closest("[data-place]");
      if (!this.fitsIn(item.closest('[data-node="group"]'), node, { isNew: true })) return;
      const fresh = await this.rendered({ node: JSON.stringify(node) });
      if (!fresh || !item.isConnected) return;
      item.after(this.placed(fresh));
      this.changed();
      this.say("duplicated");
      fresh.querySelector("[data-start]")?.focus();
    });
  }

  removeChip(button) {
    const input = button.closest("[data-list]").querySelector("[data-chips]");
    button.closest("[data-element]").remove();
    this.changed();
    input.focus();
  }

  /** One step back, or forward again; the focus stays on the same control of the same row as far as there is one. */
  back(isBack) {
    return this.enqueue(async () => {
      const text = this.history.peek(isBack);
      if (text === undefined) return;
      const held = this.canvas.contains(document.activeElement) ? document.activeElement : null;
      const path = held && pathsOf(this.root).find(([, element]) => element === held.closest("[data-node]"))?.[0];
      if (!(await this.replaceAll(text, text !== ""))) return;
      this.history.settle(isBack, this.textarea.value);
      this.setText(text);
      this.querySelector("[data-done]").hidden = true;
      this.tellOthers();
      this.schedule();
      this.say(isBack ? "undone" : "redone");
      if (document.activeElement !== document.body) return;
      const [, element] = pathsOf(this.root).find(([one]) => one === path) ?? ["", this.root];
      (element.querySelector(`[data-focus="${CSS.escape(held?.dataset.focus ?? "")}"]`) ?? element.querySelector("[data-start]")).focus();
    });
  }
}

customElements.define("conditions-builder", ConditionsBuilder);
