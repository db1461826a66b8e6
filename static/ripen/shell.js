// What the shell does in the browser: theme switch without a reload, keys, search box, toasts, words for failed requests.
(() => {
  const root = document.documentElement;

  // The switch is a form that also works without this script.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("[data-theme-switch]")) return;
    event.preventDefault();
    const theme = root.getAttribute("data-bs-theme") === "dark" ? "light" : "dark";
    root.setAttribute("data-bs-theme", theme);
    document.cookie = `ripen_theme=${theme}; path=/; max-age=31536000; samesite=lax`;
    document.dispatchEvent(new CustomEvent("ripen:theme", { detail: theme }));
  });

  // "/" goes to the search box, Escape leaves it, arrows walk through what was found.
  const search = () => document.querySelector("#global-search");
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select, [contenteditable]");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      search()?.focus();
      return;
    }
    const box = event.target.closest(".ripen-search");
    if (!box) return;
    const links = [...box.querySelectorAll(".ripen-search-results a")];
    const at = links.indexOf(document.activeElement);
    if (event.key === "Escape") {
      document.activeElement.blur();
    } else if (event.key === "ArrowDown" && links.length) {
      event.preventDefault();
      links[Math.min(at + 1, links.length - 1)].focus();
    } else if (event.key === "ArrowUp" && links.length) {
      event.preventDefault();
      (at > 0 ? links[at - 1] : search()).focus();
    }
  });

  // A list's "choose all" box, and the bar that appears when something is chosen.
  const countChosen = (form) => {
    const boxes = [...form.querySelectorAll("[data-choose]")];
    const chosen = boxes.filter((box) => box.checked).length;
    form.querySelectorAll("[data-choose-bar]").forEach((bar) => (bar.hidden = chosen === 0));
    form.querySelectorAll("[data-choose-count]").forEach((place) => (place.textContent = chosen));
    form.querySelectorAll("[data-choose-all]").forEach((box) => {
      box.checked = chosen > 0 && chosen === boxes.length;
      box.indeterminate = chosen > 0 && chosen < boxes.length;
    });
  };
  // A bulk action that takes a value shows its own input only.
  const showValue = (select) => {
    select.form.querySelectorAll("[data-value-of]").forEach((place) => {
      place.hidden = place.dataset.valueOf !== select.value;
      place.querySelectorAll("input, select").forEach((input) => (input.disabled = place.hidden));
    });
  };
  document.addEventListener("change", (event) => {
    const box = event.target;
    if (box.matches("[data-choose-all]")) {
      box.form.querySelectorAll("[data-choose]").forEach((one) => (one.checked = box.checked));
    }
    if (box.matches("[data-choose-all], [data-choose]")) countChosen(box.form);
    if (box.matches("[data-value-select]")) showValue(box);
    if (box.matches("[data-submit-on-change]")) box.form.requestSubmit();
  });
  const prepare = (part) => {
    part.querySelectorAll("[data-value-select]").forEach(showValue);
    part.querySelectorAll("form").forEach((form) => form.querySelector("[data-choose]") && countChosen(form));
    part.querySelectorAll(".toast[data-show]").forEach((toast) => {
      toast.removeAttribute("data-show");
      window.tabler?.Toast.getOrCreateInstance(toast).show();
    });
  };
  document.addEventListener("DOMContentLoaded", () => prepare(document));
  document.addEventListener("htmx:load", (event) => prepare(event.detail.elt.parentElement ?? event.detail.elt));

  // A request that failed is said, never swallowed.
  const failed = (words) => {
    const template = document.querySelector("#failure-toast");
    if (!template || !words) return;
    const toast = template.content.firstElementChild.cloneNode(true);
    toast.querySelector(".toast-body").textContent = words;
    document.querySelector("#messages").append(toast);
    prepare(document);
  };
  document.addEventListener("htmx:responseError", (event) => {
    const words = document.body.dataset;
    const status = event.detail.xhr.status;
    failed(status === 403 ? words.refused : status === 404 ? words.gone : words.broken);
  });
  document.addEventListener("htmx:sendError", () => failed(document.body.dataset.unreachable));

  // After a sign-out elsewhere a fragment request ends on the sign-in page: go there instead of drawing it inside the page.
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (new URL(event.detail.xhr.responseURL || location.href).pathname === document.body.dataset.login) {
      event.detail.shouldSwap = false;
      location.reload();
    }
  });
})();
