// Runs before the first paint. The server writes the chosen theme from the cookie; a browser that has none yet gets what its
// system prefers and keeps it, and an error page, drawn without the request, gets what the cookie says.
(() => {
  const root = document.documentElement;
  if (root.dataset.themeChosen === "yes") return;
  const chosen = document.cookie.match(/(?:^|; )ripen_theme=(light|dark)/)?.[1];
  const theme = chosen ?? (window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  root.setAttribute("data-bs-theme", theme);
  if (!chosen) document.cookie = `ripen_theme=${theme}; path=/; max-age=31536000; samesite=lax`;
})();
