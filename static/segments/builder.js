// <conditions-builder>: rows to click and type in, kept equal to the JSON in its textarea, which is what the form sends.
// New and changed rows come from the server as markup; what is typed never waits for it.

import { childrenOf, documentOf, pathsOf } from "./builder_document.js";
import { Picker, Typeahead } from "./builder_choices.js";

const PREVIEW_WAIT = 350; // ms after the last key: shorter asks in the middle of a word
const HISTORY = 50;

class ConditionsBuilder extends HTMLElement {
  connectedCallback() {
    if (this.isReady) return;
    this.isReady = true;
    this.canvas = this.querySelector("[data-canvas]");
    this.textarea = this.querySelector("[data-document]");
    this.summary = this.querySelector("[data-summary]");
    this.people = this.querySelector("[data-people]");
    this.message = this.querySelector("[data-message]");
    this.picker = new Picker(this, this.querySelector("[data-picker]"));
    this.typeahead = new Typeahead(this, this.querySelector("[data-options]"), this.dataset.valuesUrl, (...said) => this.take(...said));
    this.history = [];
    this.turn = 0;

    this.addEventListener("click", (event) => this.onClick(event));
    this.addEventListener("change", (event) => this.onChange(event));
    this.addEventListener("input", (event) => this.onInput(event));
    this.addEventListener("keydown", (event) => this.onKey(event));
    this.addEventListener("focusin", (event) => this.onFocus(event));
    this.addEventListener("focusout", (event) => this.onBlur(event));
    this.people?.addEventListener("toggle", () => this.askPeople());
    this.number();
    this.show(this.dataset.tab);
    this.preview();
  }

  disconnectedCallback() {
    clearTimeout(this.timer);
    this.asking?.abort();
  }

  // -- the document ----------------------------------------------------------------------------------------------------

  get root() {
    return this.canvas.querySelector("[data-node]");
  }

  /** Write the rows into the textarea; an empty rule is an empty text unless “everybody” was picked by name. */
  write() {
    const { root } = this;
    const isEmpty = root.dataset.node === "group" && childrenOf(root).length === 0;
    const text = isEmpty && root.dataset.everybody === undefined ? "" : JSON.stringify(documentOf(root), null, 2);
    if (text === this.textarea.value) return;
    this.remember();
    this.textarea.value = text;
  }

  remember() {
    const now = Date.now();
    if (now - (this.rememberedAt ?? 0) > 800) this.history.push(this.textarea.value); // one step back per burst of typing
    this.rememberedAt = now;
    if (this.history.length > HISTORY) this.history.shift();
    this.querySelector('[data-do="undo"]').disabled = this.history.length === 0;
  }

  /** After any change of the rows. */
  changed() {
    this.number();
    this.write();
    this.dispatchEvent(new CustomEvent("conditions:change", { bubbles: true, detail: { text: this.textarea.value } }));
    this.schedule();
  }

  /** Rows are numbered through the whole rule: the table of people names them by it. */
  number() {
    this.canvas.querySelectorAll("[data-number]").forEach((place, index) => {
      place.textContent = index + 1;
    });
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

  /** A structural change inside one leaf: the server draws the row anew; the focus and what was typed meanwhile stay. */
  async redraw(element, change, to) {
    const fresh = await this.rendered({ node: JSON.stringify(documentOf(element)), change, to });
    if (!fresh || !element.isConnected) return;
    const held = element.contains(document.activeElement) ? document.activeElement : null;
    const name = held?.dataset.focus;
    element.replaceWith(fresh);
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
    this.summary.setAttribute("aria-busy", "true");
    try {
      const paths = nodes.map(([path]) => path);
      const { markup } = await this.post(this.dataset.previewUrl, { text: this.textarea.value, path: paths, how }, this.asking.signal);
      if (turn !== this.turn) return;
      const answer = document.createElement("template");
      answer.innerHTML = markup;
      for (const part of answer.content.querySelectorAll("[data-for]")) this.showVerdict(nodes[part.dataset.for]?.[1], part);
      const summary = answer.content.querySelector("[data-part=summary]");
      this.summary.replaceChildren(...summary.childNodes);
      this.summary.dataset.state = summary.dataset.state;
      this.summary.classList.remove("is-old");
      this.askPeople();
    } catch (error) {
      if (error.name === "AbortError" || turn !== this.turn) return;
      this.summary.textContent = this.dataset.offline;
      this.summary.dataset.state = "problem";
    }
    if (turn === this.turn) this.summary.removeAttribute("aria-busy");
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
    if (tab === "rows" && !(await this.replaceAll(this.textarea.value))) return; // the text is no document yet
    this.tell("");
    this.show(tab);
    this.preview();
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
    else if (this.canvas.contains(control) && !control.matches("[data-chips]")) this.changed();
  }

  /** What was written by hand becomes rows when rows can show it. */
  async readJson(textarea) {
    const element = textarea.closest("[data-node]");
    this.changed();
    const fresh = await this.rendered({ node: JSON.stringify(documentOf(element)) });
    if (!fresh || !element.isConnected || fresh.dataset.node === "json") return;
    element.replaceWith(fresh);
    this.changed();
  }

  onInput(event) {
    const control = event.target;
    if (control === this.textarea) {
      this.dispatchEvent(new CustomEvent("conditions:change", { bubbles: true, detail: { text: control.value } }));
      this.schedule();
    } else if (this.canvas.contains(control)) {
      if (control.dataset.values !== undefined) {
        this.typeahead.ask(control, { wait: 150 });
        if (control.dataset.chips !== undefined) return;
        const shadow = control.previousElementSibling?.matches("[data-shadow]") ? control.previousElementSibling : null;
        if (shadow) shadow.value = control.value;
      }
      if (!control.matches("select")) this.changed();
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
    if (same) return;
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
      this.typeahead.close();
      this.addChip(control, control.value.trim());
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
      ArrowUp: "up", ArrowDown: "down", ArrowRight: "nest", ArrowLeft: "out", KeyD: "copy", Delete: "delete", Backspace: "delete",
      KeyN: "add", KeyG: "add-group", KeyJ: "flip", KeyX: "negate", KeyZ: "undo",
    }[event.code];
    if (!what || this.tab !== "rows") return false;
    const node = event.target.closest("[data-node]") ?? this.root;
    this.act(what, node.querySelector(`[data-do="${what}"]`) ?? node);
    return true;
  }

  // -- structure -------------------------------------------------------------------------------------------------------

  act(what, button) {
    const element = button.closest("[data-node]");
    const group = element?.closest('[data-node="group"]') ?? this.root;
    const item = element?.closest("[data-place]");
    const actions = {
      pick: () => this.picker.open(button, (choice) => this.redraw(element, "field", choice)),
      add: () => this.add(group, button, false),
      "add-group": () => this.add(group, button, true),
      everybody: () => this.everybody(),
      flip: () => this.flip(element.dataset.node === "leaf" || element.dataset.node === "json" ? item.closest('[data-node="group"]') : group, button),
      negate: () => this.negate(element),
      delete: () => item && this.remove(item),
      up: () => item?.previousElementSibling && this.move(item, () => item.previousElementSibling.before(item)),
      down: () => item?.nextElementSibling && this.move(item, () => item.nextElementSibling.after(item)),
      out: () => this.moveOut(item),
      nest: () => item && this.nest(item, element),
      copy: () => item && this.copy(item, element),
      "remove-chip": () => this.removeChip(button),
      undo: () => this.undo(),
      estimate: () => this.preview("estimate"),
      exact: () => this.preview("exact"),
    };
    actions[what]?.();
  }

  /** A list place as the server draws it round a node. */
  placed(element) {
    const item = this.querySelector("template[data-place-template]").content.firstElementChild.cloneNode(true);
    item.append(element);
    return item;
  }

  add(group, button, isGroup) {
    const opener = button.closest("[data-node]") === group && button.matches("button") ? button : group.querySelector(":scope > [data-foot] [data-do=add]");
    this.picker.open(opener, async (choice) => {
      const other = group.dataset.join === "all" ? "any" : "all";
      const fresh = await this.rendered({ change: "field", to: choice, node: "{}", group: isGroup ? other : "" });
      if (!fresh) return;
      delete group.dataset.everybody;
      group.querySelector("[data-children]").append(this.placed(fresh));
      this.changed();
      const row = fresh.querySelector('[data-node="leaf"], [data-node="json"]') ?? fresh;
      row.querySelector("[data-start]")?.focus();
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
    group.dataset.join = mode === "all" || mode === "not_all" ? "all" : "any";
    group.dataset.negated = String(mode === "none" || mode === "not_all");
    group.querySelector("[data-mode]").value = mode;
    group.querySelector(":scope > .builder-head [data-do=negate]")?.setAttribute("aria-pressed", group.dataset.negated);
    this.changed();
  }

  negate(element) {
    if (element.dataset.node === "json") return;
    if (element.dataset.node === "group") {
      const modes = { all: "not_all", not_all: "all", any: "none", none: "any" };
      this.setMode(element, modes[element.querySelector("[data-mode]").value]);
      return;
    }
    element.dataset.negated = element.dataset.negated === "true" ? "false" : "true";
    element.querySelector('[data-do="negate"]').setAttribute("aria-pressed", element.dataset.negated);
    this.changed();
  }

  move(item, how) {
    const held = document.activeElement;
    how();
    this.changed();
    if (item.contains(held)) held.focus();
    else item.querySelector("[data-start]")?.focus();
  }

  remove(item) {
    const group = item.closest('[data-node="group"]');
    const neighbour = item.nextElementSibling ?? item.previousElementSibling;
    item.remove();
    this.changed();
    (neighbour?.querySelector("[data-start]") ?? group.querySelector(":scope > [data-foot] [data-do=add]")).focus();
  }

  moveOut(item) {
    const group = item?.closest('[data-node="group"]');
    const place = group?.closest("[data-place]");
    if (!place) return;
    this.move(item, () => {
      place.after(item);
      if (childrenOf(group).length === 0) place.remove();
    });
  }

  async nest(item, element) {
    const join = item.closest('[data-node="group"]').dataset.join === "all" ? "any" : "all";
    const fresh = await this.rendered({ node: JSON.stringify({ [join]: [documentOf(element)] }) });
    if (!fresh) return;
    item.querySelector("[data-node]").replaceWith(fresh);
    this.changed();
    fresh.querySelector("[data-foot] [data-do=add]").focus();
  }

  async copy(item, element) {
    const fresh = await this.rendered({ node: JSON.stringify(documentOf(element)) });
    if (!fresh) return;
    item.after(this.placed(fresh));
    this.changed();
    fresh.querySelector("[data-start]")?.focus();
  }

  removeChip(button) {
    const input = button.closest("[data-list]").querySelector("[data-chips]");
    button.closest("[data-element]").remove();
    this.changed();
    input.focus();
  }

  async undo() {
    if (this.history.length === 0) return;
    const text = this.history[this.history.length - 1];
    if (!(await this.replaceAll(text, text !== ""))) return;
    this.history.pop();
    this.textarea.value = text;
    this.querySelector('[data-do="undo"]').disabled = this.history.length === 0;
    this.schedule();
  }
}

customElements.define("conditions-builder", ConditionsBuilder);
