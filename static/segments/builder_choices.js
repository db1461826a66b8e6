// A list box that opens below a control: the field picker (a search over options that stand in the page) and the typeahead
// (options asked from the server). Follows the combobox pattern: focus stays in the input, the active option is told by
// aria-activedescendant.

const SHOWN = '[role="option"]:not([hidden])';

/** Moves an absolutely placed element below an anchor, or above it where there is no room; inside the builder, never wider than it. */
export function place(element, anchor, home) {
  const box = anchor.getBoundingClientRect();
  const frame = home.getBoundingClientRect();
  element.hidden = false;
  const left = Math.max(0, Math.min(box.left - frame.left, frame.width - element.offsetWidth));
  const below = window.innerHeight - box.bottom;
  const isAbove = element.offsetHeight + 8 > below && box.top > below && element.offsetHeight + 8 < box.top;
  element.style.left = `${left}px`;
  // held at the edge near the anchor: a list that grows shorter stays beside it
  element.style.top = isAbove ? "auto" : `${box.bottom - frame.top + 4}px`;
  element.style.bottom = isAbove ? `${frame.bottom - box.top + 4}px` : "auto";
}

class ListBox {
  constructor(home, popup) {
    this.home = home;
    this.popup = popup;
    this.input = null;
    this.active = null;
    popup.addEventListener("pointerdown", (event) => {
      if (event.target !== this.input) event.preventDefault(); // a click on an option must not take the focus from the input
    });
    popup.addEventListener("click", (event) => {
      const option = event.target.closest('[role="option"]');
      if (option) this.choose(option);
    });
  }

  get isOpen() {
    return !this.popup.hidden;
  }

  options() {
    return [...this.popup.querySelectorAll(SHOWN)];
  }

  activate(option) {
    this.active?.setAttribute("aria-selected", "false");
    this.active = option ?? null;
    if (this.active) {
      this.active.setAttribute("aria-selected", "true");
      this.active.scrollIntoView({ block: "nearest" });
      this.input?.setAttribute("aria-activedescendant", this.active.id);
    } else this.input?.removeAttribute("aria-activedescendant");
  }

  /** True when the key was for the list. */
  key(event) {
    if (!this.isOpen || event.altKey || event.ctrlKey || event.metaKey) return false;
    const options = this.options();
    const at = options.indexOf(this.active);
    if (event.key === "ArrowDown") this.activate(options[(at + 1) % options.length]);
    else if (event.key === "ArrowUp") this.activate(options[(at <= 0 ? options.length : at) - 1]);
    else if (event.key === "PageDown") this.activate(options[Math.min(at + 8, options.length - 1)]);
    else if (event.key === "PageUp") this.activate(options[Math.max(at - 8, 0)]);
    else if (event.key === "Enter" && this.active) this.choose(this.active);
    else if (event.key === "Escape") this.close({ refocus: true });
    else return false;
    return true;
  }
}

/** The picker of fields and subjects: one per builder, opened for a button. */
export class Picker extends ListBox {
  constructor(home, popup, say) {
    super(home, popup);
    this.say = say;
    this.search = popup.querySelector("input");
    this.input = this.search;
    this.empty = popup.querySelector("[data-nothing]");
    this.search.addEventListener("input", () => this.filter());
    this.search.addEventListener("keydown", (event) => {
      if (event.key === "Tab") this.close({ refocus: true });
      else if (this.key(event) || event.key === "Enter") {
        event.preventDefault();
        event.stopPropagation();
      }
    });
    popup.addEventListener("focusout", (event) => {
      if (!popup.contains(event.relatedTarget)) this.close({});
    });
    popup.querySelector("[data-close]").addEventListener("click", () => this.close({ refocus: true }));
  }

  open(button, done) {
    this.button = button;
    this.done = done;
    button.setAttribute("aria-expanded", "true");
    this.search.value = "";
    place(this.popup, button, this.home);
    this.filter();
    this.search.focus();
  }

  /** Options that have every word, in their own text or their group's; those that begin with the text are offered first. */
  filter() {
    const words = this.search.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    for (const group of this.popup.querySelectorAll('[role="group"]')) {
      let shown = 0;
      for (const option of group.querySelectorAll('[role="option"]')) {
        const text = `${option.dataset.search} ${group.dataset.search}`;
        option.hidden = !words.every((word) => text.includes(word));
        if (!option.hidden) shown += 1;
      }
      group.hidden = shown === 0;
    }
    const options = this.options();
    this.empty.hidden = options.length > 0;
    const start = words.join(" ");
    const first = start && (options.find((option) => option.dataset.search.startsWith(start)) ?? options.find((option) => ` ${option.dataset.search}`.includes(` ${start}`)));
    this.activate(first || options[0]);
    if (!start) this.popup.querySelector('[role="listbox"]').scrollTop = 0;
    if (start) this.say(options.length);
  }

  choose(option) {
    const { done } = this;
    this.close({ refocus: true });
    done(option.dataset.value);
  }

  close({ refocus }) {
    if (!this.isOpen) return;
    this.popup.hidden = true;
    this.button?.setAttribute("aria-expanded", "false");
    if (refocus && this.button?.isConnected) this.button.focus();
  }
}

/** Suggestions from the data for inputs with data-values; one list per builder, lent to the input that has the focus. */
export class Typeahead extends ListBox {
  constructor(home, popup, url, chosen) {
    super(home, popup);
    this.url = url;
    this.chosen = chosen;
    this.timer = 0;
  }

  /** Ask for what fits the text; the latest question wins. */
  ask(input, { wait }) {
    clearTimeout(this.timer);
    this.asking?.abort();
    if (this.input !== input) this.close({});
    this.timer = setTimeout(async () => {
      this.asking = new AbortController();
      const query = new URLSearchParams({ field: input.dataset.values, q: input.value });
      try {
        const answer = await fetch(`${this.url}?${query}`, { signal: this.asking.signal });
        if (!answer.ok || document.activeElement !== input) return;
        this.show(input, await answer.text());
      } catch (error) {
        if (error.name !== "AbortError") this.close({}); // without suggestions the value can still be typed
      }
    }, wait);
  }

  /** The suggestion that says just what was typed, by label or value. */
  same(text) {
    const wanted = text.toLowerCase();
    return this.isOpen ? this.options().find((option) => [option.dataset.label, option.dataset.value].some((one) => one.toLowerCase() === wanted)) : undefined;
  }

  /** A list that is drawn anew under somebody's arrow keys keeps the option they are at. */
  show(input, markup) {
    const at = this.isOpen && this.input === input ? this.active?.dataset.value : undefined;
    this.input = input;
    this.popup.innerHTML = markup;
    this.active = null;
    if (!this.popup.querySelector(SHOWN)) {
      this.close({});
      return;
    }
    place(this.popup, input, this.home);
    input.setAttribute("aria-expanded", "true");
    input.setAttribute("aria-controls", this.popup.id);
    const same = at !== undefined && this.options().find((option) => option.dataset.value === at);
    if (same) this.activate(same);
  }

  choose(option) {
    const { input } = this;
    this.close({});
    this.chosen(input, option.dataset.value, option.dataset.label);
  }

  close() {
    clearTimeout(this.timer);
    this.asking?.abort();
    this.popup.hidden = true;
    this.input?.setAttribute("aria-expanded", "false");
    this.input?.removeAttribute("aria-activedescendant");
    this.active = null;
  }
}
