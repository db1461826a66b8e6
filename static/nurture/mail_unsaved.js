// What was written and not saved outlives the page in this tab: a lost connection, a closed session, a reload. Ctrl+S saves.

import { Draft } from "../segments/builder_draft.js";

const OWN = new Set(["csrfmiddlewaretoken", "version", "template", "row", "kind", "reason", "contact"]); // the page's, not the words
const LATER = 400; // ms after the last key

class Unsaved {
  constructor(form) {
    this.form = form;
    this.offer = form.querySelector("[data-unsaved-offer]");
    this.draft = new Draft(location.pathname, "words");
    this.saved = this.words; // as the page came
    this.arrived();
    this.look();
    form.addEventListener("input", () => this.soon());
    form.addEventListener("change", () => this.soon());
    form.addEventListener("submit", () => {
      this.keep();
      this.draft.sent();
    });
    window.addEventListener("pagehide", () => this.timer && this.keep());
    this.offer.addEventListener("click", (event) => this.answer(event.target.closest("[data-unsaved]")?.dataset.unsaved));
    document.addEventListener("keydown", (event) => this.key(event));
  }

  get version() {
    return this.form.querySelector("[name=version]")?.value ?? "";
  }

  /** What stands in the form, name by name. */
  get words() {
    const found = [...new FormData(this.form)].filter(([name]) => !OWN.has(name)).map(([name, value]) => [name, String(value).replace(/\r\n/g, "\n")]);
    return JSON.stringify(found);
  }

  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.keep(), LATER);
  }

  keep() {
    clearTimeout(this.timer);
    this.timer = null;
    if (this.words === this.saved && !this.isWrong) this.draft.forget();
    else this.draft.keep(JSON.stringify({ version: this.version, words: this.words }));
  }

  /** The form came back unsaved: its words are only here. */
  get isWrong() {
    return this.form.querySelector(".is-invalid, .alert-danger") !== null;
  }

  /** From a page whose form was sent, to another one: that was saved. */
  arrived() {
    if (!document.referrer) return;
    const before = new URL(document.referrer).pathname;
    const other = new Draft(before, "words");
    if (before !== location.pathname && other.read()?.isSent) other.forget();
  }

  /** Offers what was lost: a save would have counted the version up, or led to another page. */
  look() {
    const found = this.draft.read();
    const kept = found && JSON.parse(found.text);
    if (!kept || kept.version !== this.version || kept.words === this.saved) {
      if (this.isWrong) this.keep();
      else this.draft.forget();
      return;
    }
    this.lost = kept.words;
    this.offer.hidden = false;
  }

  answer(what) {
    if (!what) return;
    if (what === "take") this.put(JSON.parse(this.lost));
    else this.draft.forget();
    this.offer.hidden = true;
  }

  put(words) {
    const values = new Map(words);
    for (const control of this.form.elements) {
      if (!control.name || OWN.has(control.name) || control.type === "hidden") continue;
      if (control.matches("[type=radio]")) control.checked = values.get(control.name) === control.value;
      else if (control.matches("[type=checkbox]")) control.checked = values.has(control.name);
      else if (values.has(control.name)) control.value = values.get(control.name);
      control.dispatchEvent(new Event("change", { bubbles: true }));
    }
    this.form.dispatchEvent(new Event("restored"));
    this.form.dispatchEvent(new Event("previewed"));
    this.keep();
  }

  key(event) {
    if (!(event.ctrlKey || event.metaKey) || event.shiftKey || event.altKey || event.key.toLowerCase() !== "s") return;
    event.preventDefault();
    this.form.requestSubmit();
  }
}

for (const form of document.querySelectorAll("form[data-unsaved-form]")) new Unsaved(form);
