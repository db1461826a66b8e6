// A choice of several segments: search, chips and head-counts over a select, which stays what the form sends. Follows the combobox
// pattern: the focus stays in the search, the active segment is told by aria-activedescendant. Without this file the select is used.

const MOST_SHOWN = 200; // a longer list nobody reads: one types more of the name

function plain(text) {
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
}

class SegmentPicker extends HTMLElement {
  connectedCallback() {
    this.select = this.querySelector("select");
    this.box = this.querySelector("[data-box]");
    if (!this.select || !this.box.hidden) return; // bound before: the page came back from the history
    this.search = this.querySelector('[role="combobox"]');
    this.chips = this.querySelector("[data-chips]");
    this.list = this.querySelector("[data-list]");
    this.said = this.querySelector("[data-said]");
    this.active = null;
    this.numbers = new Intl.NumberFormat("en");
    this.segments = [...this.select.options].map((option, place) => ({
      option,
      place,
      name: option.dataset.name,
      people: Number(option.dataset.people),
      words: option.dataset.words,
      plain: plain(option.dataset.name),
    }));
    this.takeOver();
    this.listen();
    this.draw();
  }

  /** The label, the help and the error of the select speak of the search from now on. */
  takeOver() {
    const id = this.select.id;
    this.select.id = `${id}-select`;
    this.search.id = id;
    this.list.id = `${id}-list`;
    this.search.setAttribute("aria-controls", this.list.id);
    for (const name of ["aria-describedby", "aria-invalid"]) {
      if (this.select.hasAttribute(name)) this.search.setAttribute(name, this.select.getAttribute(name));
    }
    this.select.hidden = true;
    this.box.hidden = false;
  }

  listen() {
    this.box.addEventListener("click", (event) => {
      const chip = event.target.closest("button")?.closest("li");
      if (chip) this.remove(this.segments[Number(chip.dataset.place)]);
      else this.search.focus();
    });
    this.search.addEventListener("input", () => this.open());
    this.search.addEventListener("click", () => this.open());
    this.search.addEventListener("keydown", (event) => this.key(event));
    this.list.addEventListener("pointerdown", (event) => event.preventDefault()); // the focus stays in the search
    this.list.addEventListener("click", (event) => {
      const row = event.target.closest('[role="option"]');
      if (row) this.choose(this.segments[Number(row.dataset.place)]);
    });
    this.addEventListener("focusout", (event) => {
      if (this.contains(event.relatedTarget)) return;
      this.search.value = ""; // what was typed and not chosen counts for nothing, and does not look as if it did
      this.close();
    });
    this.select.form?.addEventListener("reset", () => setTimeout(() => this.draw()));
  }

  key(event) {
    if (event.isComposing || event.ctrlKey || event.metaKey) return;
    const rows = [...this.list.children];
    const at = rows.indexOf(this.active);
    if (event.key === "ArrowDown" && this.list.hidden) this.open();
    else if (event.key === "ArrowDown") this.activate(rows[(at + 1) % rows.length]);
    else if (event.key === "ArrowUp") this.activate(rows[(at <= 0 ? rows.length : at) - 1]);
    else if (event.key === "Enter" && this.active) this.choose(this.segments[Number(this.active.dataset.place)]);
    else if (event.key === "Enter" && (this.search.value || !this.list.hidden)) this.say(this.dataset.fitNone);
    else if (event.key === "Escape" && !this.list.hidden) this.close();
    else if (event.key === "Backspace" && !this.search.value && this.chosen.length) this.remove(this.chosen.at(-1));
    else return;
    event.preventDefault();
  }

  get chosen() {
    return this.segments.filter((segment) => segment.option.selected);
  }

  /** Those that have every word and are not chosen; names that begin with the text stand first. */
  fitting() {
    const text = plain(this.search.value.trim());
    const words = text.split(/\s+/).filter(Boolean);
    const found = this.segments.filter((segment) => !segment.option.selected && words.every((word) => segment.plain.includes(word)));
    const begins = (segment) => (text && segment.plain.startsWith(text) ? 0 : 1);
    return found.sort((one, other) => begins(one) - begins(other) || one.place - other.place);
  }

  open() {
    const found = this.fitting();
    this.list.replaceChildren(...found.slice(0, MOST_SHOWN).map((segment) => this.filled("[data-option]", segment)));
    this.list.hidden = found.length === 0;
    this.search.setAttribute("aria-expanded", String(found.length > 0));
    this.activate(this.search.value.trim() ? this.list.firstElementChild : null);
    this.say(this.counted("fit", found.length));
  }

  close() {
    this.list.hidden = true;
    this.list.replaceChildren();
    this.search.setAttribute("aria-expanded", "false");
    this.activate(null);
  }

  activate(row) {
    this.active?.setAttribute("aria-selected", "false");
    this.active = row ?? null;
    if (!this.active) {
      this.search.removeAttribute("aria-activedescendant");
      return;
    }
    this.active.setAttribute("aria-selected", "true");
    this.active.scrollIntoView({ block: "nearest" });
    this.search.setAttribute("aria-activedescendant", this.active.id);
  }

  choose(segment) {
    segment.option.selected = true;
    this.search.value = "";
    this.close();
    this.draw();
    this.search.focus();
    this.say(this.dataset.added.replace("{name}", segment.name));
  }

  remove(segment) {
    segment.option.selected = false;
    this.close();
    this.draw();
    this.search.focus();
    this.say(this.dataset.removed.replace("{name}", segment.name));
  }

  /** The chips and the sum, from what the select holds. */
  draw() {
    const { chosen } = this;
    this.chips.replaceChildren(...chosen.map((segment) => this.filled("[data-chip]", segment)));
    this.chips.hidden = chosen.length === 0;
    const sum = this.querySelector("[data-sum]");
    const people = chosen.reduce((total, segment) => total + segment.people, 0);
    sum.hidden = chosen.length === 0;
    sum.textContent = this.counted("sum", people);
  }

  filled(template, segment) {
    const found = this.querySelector(`template${template}`).content.firstElementChild.cloneNode(true);
    found.dataset.place = segment.place;
    found.querySelector("[data-name]").textContent = segment.name;
    found.querySelector("[data-people]").textContent = segment.words;
    const button = found.querySelector("button");
    if (button) button.setAttribute("aria-label", `${button.getAttribute("aria-label")} ${segment.name}`);
    else found.id = `${this.list.id}-${segment.place}`;
    return found;
  }

  counted(what, number) {
    const which = number === 1 ? "One" : number === 0 && this.dataset[`${what}None`] ? "None" : "Many";
    return this.dataset[`${what}${which}`].replace("{n}", this.numbers.format(number));
  }

  say(words) {
    this.said.textContent = words;
  }
}

customElements.define("segment-picker", SegmentPicker);
