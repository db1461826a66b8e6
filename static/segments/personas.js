// The print button of a persona's portrait.
document.querySelector("[data-print]")?.addEventListener("click", () => window.print());
