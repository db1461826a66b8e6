// The canvas: where it stands after drawing again, which card is chosen; wait forms show only what their mode needs.
"use strict";

(() => {
  let place = null;
  let isWhole = false; // the tree as small as it must be to show its whole width

  function scroller() {
    return document.querySelector("[data-flow-scroll]");
  }

  function centre() {
    const box = scroller();
    if (box) box.scrollLeft = (box.scrollWidth - box.clientWidth) / 2;
  }

  function fit() {
    const box = scroller();
    const tree = box && box.querySelector(".flow-tree");
    const button = document.querySelector("[data-flow-fit]");
    if (!tree) return;
    tree.style.zoom = "";
    if (isWhole) tree.style.zoom = Math.max(0.15, Math.min(1, box.clientWidth / tree.scrollWidth));
    if (!button) return;
    button.setAttribute("aria-pressed", String(isWhole));
    button.classList.toggle("active", isWhole);
  }

  // A line of the outline shows its card on the canvas.
  function show(link) {
    const found = link.pathname.match(/\/steps\/([^/]+)\/$/);
    const card = document.getElementById(found ? `node-${found[1]}` : "node-start");
    if (!card || !card.offsetParent) return;
    choose(card);
    card.scrollIntoView({ block: "nearest", inline: "center" });
  }

  function choose(id) {
    document.querySelectorAll(".flow-card.is-selected, .flow-add.is-selected").forEach((card) => card.classList.remove("is-selected"));
    if (id) id.classList.add("is-selected");
  }

  function tidyWait(form) {
    const mode = form.querySelector("input[name=mode]:checked");
    if (!mode) return;
    const shown = mode.value === "for" ? ["value", "unit"] : ["days", "at", "clock"];
    ["value", "unit", "days", "at", "clock"].forEach((name) => {
      const group = form.querySelector(`#div_id_${name}`);
      if (group) group.hidden = !shown.includes(name);
    });
  }

  // Fields that only some answers of another field ask for: form -> [the field, answer -> fields that stay].
  const ASKED = {
    notify: ["whom", { owner: [], user: ["user"], team: ["team"] }],
    split: ["by", { hand: [], goal: ["days", "at_least"], own: ["days", "at_least", "conditions"] }],
  };

  function tidyAsked(form) {
    const [name, fields] = ASKED[form.dataset.stepForm];
    const chosen = form.querySelector(`input[name=${name}]:checked`);
    if (!chosen) return;
    new Set(Object.values(fields).flat()).forEach((field) => {
      const group = form.querySelector(`#div_id_${field}`);
      if (group) group.hidden = !fields[chosen.value].includes(field);
    });
  }

  // The number of days only where people enter again after some.
  function tidyAround(form) {
    const chosen = form.querySelector("input[name=again]:checked");
    const days = form.querySelector("#div_id_again_days");
    if (chosen && days) days.hidden = chosen.value !== "after";
  }

  // The text part only where somebody writes it by hand.
  function tidyText(form) {
    const own = form.querySelector("input[name=has_own_text]");
    const text = form.querySelector("#div_id_text");
    if (own && text) text.hidden = !own.checked;
  }

  // A folded part of a form says in one line what is set in it.
  function saidBy(control) {
    if (control.matches("textarea") || !control.value) return "";
    if (control.matches("select")) return control.selectedOptions[0]?.label ?? "";
    if (!control.matches("[type=radio], [type=checkbox]")) return control.value.trim();
    return control.checked ? control.labels[0]?.textContent.trim() ?? "" : "";
  }

  function tellFolded(part) {
    const said = [...part.querySelectorAll("input, select")].map(saidBy).filter(Boolean);
    part.querySelector("[data-said]").textContent = said.join(" · ") || part.dataset.unset;
  }

  function tidy(root) {
    root.querySelectorAll("[data-template-form]").forEach(tidyText);
    root.querySelectorAll("[data-around-form]").forEach(tidyAround);
    root.querySelectorAll("[data-step-form=wait]").forEach(tidyWait);
    Object.keys(ASKED).forEach((kind) => root.querySelectorAll(`[data-step-form=${kind}]`).forEach(tidyAsked));
  }

  document.addEventListener("DOMContentLoaded", () => {
    centre();
    tidy(document);
  });

  document.addEventListener("click", (event) => {
    const main = event.target.closest(".flow-main, .flow-add");
    if (main) choose(main.closest(".flow-card") || main);
    const line = event.target.closest(".program-side .outline a");
    if (line) show(line);
    if (event.target.closest("[data-flow-fit]")) {
      isWhole = !isWhole;
      fit();
      centre();
    }
  });

  document.addEventListener("change", (event) => {
    const folded = event.target.closest("[data-folded]");
    if (folded) tellFolded(folded);
    const form = event.target.closest("[data-step-form=wait]");
    if (form && event.target.name === "mode") tidyWait(form);
    const asked = event.target.closest("[data-step-form]");
    if (asked && ASKED[asked.dataset.stepForm]?.[0] === event.target.name) tidyAsked(asked);
    const template = event.target.closest("[data-template-form]");
    if (template && event.target.name === "has_own_text") tidyText(template);
    const around = event.target.closest("[data-around-form]");
    if (around && event.target.name === "again") tidyAround(around);
  });

  // What a browser finds wrong in a folded part is shown.
  document.addEventListener("invalid", (event) => event.target.closest("[data-folded]")?.setAttribute("open", ""), true);

  document.addEventListener("htmx:oobBeforeSwap", () => {
    const box = scroller();
    if (box) place = [box.scrollLeft, box.scrollTop, box.scrollWidth];
  });

  document.addEventListener("htmx:oobAfterSwap", () => {
    fit();
    const box = scroller();
    if (box && place) {
      box.scrollLeft = place[0] + (box.scrollWidth - place[2]) / 2;
      box.scrollTop = place[1];
    }
  });

  // Where somebody is who uses the keyboard: an edit draws the panel anew, and with it goes the control that they pressed.
  let pressed = null; // what tells that control from the others of the panel

  function panel() {
    return document.getElementById("program-panel");
  }

  function marks(control) {
    const form = control.closest("form");
    const label = control.textContent.trim();
    return [control.tagName, control.name || "", control.id, control.getAttribute("href") || "", form?.getAttribute("action") || "", label].join("|");
  }

  function again(root) {
    return pressed && [...root.querySelectorAll("a[href], button, input, select, textarea")].find((one) => marks(one) === pressed && one.getClientRects().length);
  }

  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.target.id !== "program-panel") return;
    const control = document.activeElement;
    pressed = control && event.target.contains(control) ? marks(control) : null;
  });

  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.target.id !== "program-panel") return;
    tidy(event.target);
    const way = event.detail.requestConfig;
    const isByKey = way?.triggeringEvent?.detail === 0 && way.elt?.closest(".flow-scroll, .flow-narrow, .program-strip, #program-facts");
    requestAnimationFrame(() => {
      const isLost = !document.activeElement || document.activeElement === document.body;
      if (!isLost && !isByKey) return;
      if (event.target.contains(document.activeElement)) return; // the first of the kinds of steps, as the page wants it
      (again(event.target) || event.target).focus({ preventScroll: !isByKey });
    });
  });

  // Escape leads back from the panel to the card.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.defaultPrevented || !panel()?.contains(event.target)) return;
    if (event.target.closest("[aria-expanded=true], [role=listbox], [role=menu], dialog")) return;
    const card = document.querySelector(".flow-card.is-selected .flow-main, .flow-add.is-selected") || document.querySelector(".flow-main");
    if (card) card.focus();
  });

  // What the panel offers for the step it shows, on keys: from the panel, and from the step's card.
  function keyOf(event) {
    const isControl = (event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey;
    if (isControl && "xc".includes(event.key.toLowerCase())) return event.key.toLowerCase() === "x" ? "cut" : "copy";
    if (event.altKey && !event.ctrlKey && !event.metaKey && ["ArrowUp", "ArrowDown"].includes(event.key)) return event.key === "ArrowUp" ? "up" : "down";
    return event.key === "Delete" && !event.ctrlKey && !event.altKey && !event.shiftKey ? "delete" : "";
  }

  document.addEventListener("keydown", (event) => {
    const key = keyOf(event);
    if (!key || event.target.closest("input, textarea, select, [contenteditable], conditions-builder")) return;
    if (!event.target.closest("#program-panel, .flow-card.is-selected")) return;
    if (["cut", "copy"].includes(key) && !getSelection().isCollapsed) return; // some words are to be copied
    const control = panel()?.querySelector(`[data-step-key=${key}]`);
    if (!control) return;
    event.preventDefault();
    control.focus({ preventScroll: true });
    control.click();
  });

  // A printed tree is as wide as the page, not cut off at its edge.
  const PAGE_WIDTH = 700; // CSS pixels between the margins of an upright A4 page

  window.addEventListener("beforeprint", () => {
    const tree = document.querySelector(".flow-tree");
    if (tree) tree.style.zoom = Math.min(1, PAGE_WIDTH / tree.scrollWidth);
  });

  window.addEventListener("afterprint", () => {
    const tree = document.querySelector(".flow-tree");
    if (tree) tree.style.zoom = "";
  });

  // Ctrl+Z takes the last edit back, unless somebody is typing.
  document.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.shiftKey || event.key.toLowerCase() !== "z") return;
    if (event.target.closest("input, textarea, select, [contenteditable]")) return;
    const button = document.querySelector("[data-undo]:not([disabled])");
    if (button) {
      event.preventDefault();
      button.click();
    }
  });

  // Arrow keys walk the cards in reading order.
  document.addEventListener("keydown", (event) => {
    if (event.altKey || !["ArrowDown", "ArrowUp"].includes(event.key) || !event.target.closest(".flow-main")) return;
    const cards = [...document.querySelectorAll(".flow-main")];
    const next = cards[cards.indexOf(event.target.closest(".flow-main")) + (event.key === "ArrowDown" ? 1 : -1)];
    if (next) {
      event.preventDefault();
      next.focus();
    }
  });
})();
