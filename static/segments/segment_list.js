// Folders of the list: open and close all, keep what was opened, choose a whole folder.
(() => {
  const KEY = "ripen.segment-folders";
  const stored = () => {
    try {
      return JSON.parse(sessionStorage.getItem(KEY)) ?? {};
    } catch {
      return {};
    }
  };
  const folders = () => [...document.querySelectorAll(".segment-folder")];
  const restore = () => {
    const kept = stored();
    folders().forEach((folder) => {
      if (folder.dataset.folder in kept) folder.open = kept[folder.dataset.folder];
    });
  };
  document.addEventListener("toggle", (event) => {
    if (!event.target.matches?.(".segment-folder")) return;
    sessionStorage.setItem(KEY, JSON.stringify({ ...stored(), [event.target.dataset.folder]: event.target.open }));
  }, true);
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-folders]");
    if (button) folders().forEach((folder) => (folder.open = button.dataset.folders === "open"));
  });
  document.addEventListener("change", (event) => {
    const box = event.target;
    if (!box.matches("[data-choose-folder]")) return;
    const boxes = [...box.closest(".segment-folder").querySelectorAll("[data-choose]")];
    boxes.forEach((one) => (one.checked = box.checked));
    boxes[0]?.dispatchEvent(new Event("change", { bubbles: true }));
  });
  document.addEventListener("DOMContentLoaded", restore);
  document.addEventListener("htmx:afterSwap", (event) => event.detail.target.id === "segment-list" && restore());
})();
