// Public pages follow the reader's system, without a cookie.
(() => {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const show = () => document.documentElement.setAttribute("data-bs-theme", dark.matches ? "dark" : "light");
  dark.addEventListener("change", show);
  show();
})();
