// The menu of a row or group: one per builder, opened for the button of that row; arrow keys move, Escape closes.

import { place } from "./builder_choices.js";

export class Menu {
  constructor(home, popup, chosen) {
    this.home = home;
    this.popup = popup;
    popup.addEventListener("click", (event) => {
      const item = event.target.closest("[data-act]");
      if (!item || item.getAttribute("aria-disabled") === "true") return;
      const { button } = this;
      this.close({ refocus: true });
      chosen(item.dataset.act, button);
    });
    popup.addEventListener("keydown", (event) => this.key(event));
    popup.addEventListener("focusout", (event) => {
      if (!popup.contains(event.relatedTarget)) this.close({});
    });
  }

  items() {
    return [...this.popup.querySelectorAll("[data-act]:not([hidden])")];
  }

  /** `fits` are the actions that can be done now; `hidden` those that mean nothing here. */
  open(button, { fits, hidden }) {
    this.button = button;
    button.setAttribute("aria-expanded", "true");
    for (const item of this.popup.querySelectorAll("[data-act]")) {
      item.hidden = hidden.includes(item.dataset.act);
      item.setAttribute("aria-disabled", String(!fits.includes(item.dataset.act)));
    }
    place(this.popup, button, this.home);
    (this.items().find((item) => item.getAttribute("aria-disabled") === "false") ?? this.items()[0]).focus();
  }

  key(event) {
    const items = this.items();
    const at = items.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
    if (to !== undefined) items.at(to % items.length).focus();
    else if (event.key === "Escape" || event.key === "Tab") this.close({ refocus: true });
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  close({ refocus }) {
    if (this.popup.hidden) return;
    this.popup.hidden = true;
    this.button.setAttribute("aria-expanded", "false");
    if (refocus && this.button.isConnected) this.button.focus();
  }
}
