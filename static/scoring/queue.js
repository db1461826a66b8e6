// The MQL queue by keyboard: J and K move, A accepts, R rejects, C recycles, O opens the contact, digits choose a reason.
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
    sheet.querySelector("input[type=radio]")?.focus();
    sheet.scrollIntoView({ block: "nearest" });
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector(".modal.show")) return;
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
    } else if (key === "o") {
      const contact = card()?.querySelector("[data-contact]");
      if (contact) window.location.assign(contact.href);
    }
  });

  // What was said about the last answer is read out and fades when the next lead is looked at.
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id === "hand-off-card") board()?.querySelector(".alert[role=status]")?.remove();
  });
})();
