// BANT by keyboard: B goes to the first gap, up and down move between the four, digits choose an answer.
(() => {
  const rows = () => [...document.querySelectorAll("#bant-panel .bant-row")];
  const buttons = (row) => [...row.querySelectorAll("button")].filter((one) => !one.closest(".bant-more"));

  // The panel is drawn anew by an answer, and with the whole card by the queue: whoever works by keyboard stays where they were.
  let kept = "";
  const stay = () => {
    if (kept && (document.activeElement ?? document.body) === document.body) document.getElementById(kept)?.focus({ preventScroll: true });
  };
  document.addEventListener("htmx:afterSwap", stay);
  document.addEventListener("htmx:afterSettle", stay);
  document.addEventListener("focusin", (event) => {
    kept = event.target.closest?.("#bant-panel") ? event.target.id : "";
  });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector(".modal.show")) return;
    if (event.target.matches?.("input, textarea, select, [contenteditable]")) return;
    const here = event.target.closest?.(".bant-row");
    if (event.key.toLowerCase() === "b" && !here) {
      const gap = rows().find((row) => row.querySelector(".bant-unknown")) ?? rows()[0];
      if (!gap) return;
      event.preventDefault();
      buttons(gap)[0]?.focus();
      gap.scrollIntoView({ block: "nearest" });
      return;
    }
    if (!here) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const next = rows()[rows().indexOf(here) + (event.key === "ArrowDown" ? 1 : -1)];
      if (next) buttons(next)[0]?.focus();
    } else if (/^[1-9]$/.test(event.key)) {
      const button = buttons(here)[Number(event.key) - 1];
      if (!button) return;
      event.preventDefault();
      button.focus();
      window.htmx?.process(button.form); // a panel that was drawn this very moment would send the whole page away
      button.click();
    }
  });
})();
