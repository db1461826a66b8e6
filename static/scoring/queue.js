// The MQL queue by keyboard: J and K move, A accepts, R rejects, C recycles, D opens a deal, U takes back, X chooses, O opens the
// contact, digits choose a reason, ? tells. The list follows by itself: what is chosen and open stays so.
(() => {
  const wide = window.matchMedia("(min-width: 992px)");
  const board = () => document.querySelector("#queue-board");
  const card = () => document.querySelector("#hand-off-card");
  const rows = () => [...document.querySelectorAll(".queue-row")];
  const place = () => rows().findIndex((row) => row.dataset.id === card()?.dataset.id);

  const show = (row) => {
    if (!row) return;
    const link = row.querySelector("[data-lead]");
    if (!wide.matches || !card()) {
      window.location.assign(link.href);
      return;
    }
    rows().forEach((one) => one.classList.toggle("is-open", one === row));
    row.scrollIntoView({ block: "nearest" });
    link.focus({ preventScroll: true });
    htmx.ajax("GET", link.href, { target: "#hand-off-card", swap: "outerHTML" });
  };

  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-lead]");
    if (link && wide.matches && card() && !event.metaKey && !event.ctrlKey && !event.shiftKey && event.button === 0) {
      event.preventDefault();
      show(link.closest(".queue-row"));
    }
    const copied = event.target.closest("[data-copy]");
    if (copied) {
      navigator.clipboard?.writeText(copied.dataset.copy).then(() => {
        const icon = copied.querySelector(".ti");
        icon.classList.replace("ti-copy", "ti-check");
        setTimeout(() => icon.classList.replace("ti-check", "ti-copy"), 1500);
      });
    }
  });

  // After an answer the next lead of the list opens; the server is told which one that is.
  document.addEventListener("htmx:configRequest", (event) => {
    if (event.detail.verb !== "post" || !event.detail.elt.closest("#hand-off-answer")) return;
    const next = rows()[place() + 1] ?? rows()[place() - 1];
    if (next) event.detail.parameters.next = next.dataset.id;
  });

  const open = (name) => {
    const sheet = document.querySelector(`details[data-answer="${name}"]`);
    if (!sheet) return;
    document.querySelectorAll(".queue-sheet[open]").forEach((other) => other !== sheet && other.removeAttribute("open"));
    sheet.open = true;
    sheet.querySelector("input[type=radio], input[type=text]")?.focus();
    sheet.scrollIntoView({ block: "nearest" });
  };

  // Chosen leads are remembered while the list is drawn anew.
  const chosen = new Set();
  const boxes = () => [...document.querySelectorAll(".queue-choose input")];
  const tellChosen = () => {
    const place = document.querySelector("#queue-bulk [data-chosen]");
    if (place) place.textContent = chosen.size ? `${chosen.size} ✓` : "";
    const all = document.querySelector("#queue-bulk [data-all]");
    if (all) all.checked = boxes().length > 0 && boxes().every((box) => box.checked);
  };
  document.addEventListener("change", (event) => {
    if (event.target.matches("#queue-bulk [data-all]")) boxes().forEach((box) => (box.checked = event.target.checked));
    if (event.target.matches("#queue-bulk [data-all], .queue-choose input")) {
      boxes().forEach((box) => (box.checked ? chosen.add(box.value) : chosen.delete(box.value)));
      tellChosen();
    }
  });
  const restore = () => {
    const there = new Set(boxes().map((box) => box.value));
    [...chosen].forEach((id) => there.has(id) || chosen.delete(id));
    boxes().forEach((box) => (box.checked = chosen.has(box.value)));
    rows().forEach((row) => row.classList.toggle("is-open", row.dataset.id === card()?.dataset.id));
    tellChosen();
  };

  const help = () => document.querySelector("#queue-help");
  document.addEventListener("click", (event) => event.target.closest("[data-help]") && help()?.showModal());

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector(".modal.show, dialog[open]")) return;
    const sheet = event.target.closest?.(".queue-sheet[open]");
    if (event.key === "Escape") {
      document.querySelectorAll(".queue-sheet[open]").forEach((one) => one.removeAttribute("open"));
      return;
    }
    if (event.target.matches?.("input:not([type=radio]), textarea, select, [contenteditable]")) return;
    if (sheet && /^[1-9]$/.test(event.key)) {
      const reason = sheet.querySelector(`[data-digit="${event.key}"]`);
      if (reason) {
        event.preventDefault();
        reason.checked = true;
        reason.focus();
      }
      return;
    }
    if (sheet && event.key === "Enter" && event.target.matches("input[type=radio]")) {
      event.preventDefault();
      sheet.querySelector("form").requestSubmit();
      return;
    }
    const key = event.key.toLowerCase();
    if (key === "j" || key === "k") {
      event.preventDefault();
      const here = place();
      show(key === "j" ? rows()[here + 1] : rows()[Math.max(here - 1, 0)]);
    } else if (key === "a") {
      const form = document.querySelector('form[data-answer="accept"]');
      if (form) {
        event.preventDefault();
        form.requestSubmit();
      }
    } else if (key === "r" || key === "c") {
      event.preventDefault();
      open(key === "r" ? "reject" : "recycle");
    } else if (key === "d") {
      if (!document.querySelector('details[data-answer="deal"]')) return;
      event.preventDefault();
      open("deal");
    } else if (key === "u") {
      const undo = document.querySelector("form[data-undo]");
      if (undo) {
        event.preventDefault();
        undo.requestSubmit();
      }
    } else if (key === "x") {
      rows()[place()]?.querySelector(".queue-choose input")?.click();
    } else if (key === "?") {
      event.preventDefault();
      help()?.showModal();
    } else if (key === "o") {
      const contact = card()?.querySelector("[data-contact]");
      if (contact) window.location.assign(contact.href);
    }
  });

  // What was said about the last answer is read out and fades when the next lead is looked at.
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id === "hand-off-card") board()?.querySelector(".alert[role=status]")?.remove();
    if (["queue-list", "queue-board"].includes(event.detail.target.id)) restore();
  });
})();
