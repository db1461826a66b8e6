// <conditions-builder>, second part: rows and groups added, moved, nested, turned round, copied, and the steps back.

import { Asking } from "./builder_asking.js";
import { nodeOf, putIntoEvent, putOnClipboard, takeFromClipboard } from "./builder_clipboard.js";
import { childrenOf, documentOf, levelsAbove, pathsOf, sizeOf } from "./builder_document.js";

export class Structure extends Asking {
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
}
