// <conditions-builder>, first part: what it asks the server and says to people. Only the newest answer is ever shown.

import { documentOf, pathsOf } from "./builder_document.js";

const PREVIEW_WAIT = 350; // ms after the last key: shorter asks in the middle of a word
const DONE_SHOWN = 12_000; // ms that “Deleted. Undo” stays

export class Asking extends HTMLElement {
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
}
