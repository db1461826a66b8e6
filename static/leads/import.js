// The import pages: dropping a file, and the type that only a new field has. Both work without this script.
(() => {
  const area = document.querySelector("[data-drop]");
  if (area) {
    const input = area.querySelector("input[type=file]");
    const name = area.querySelector("[data-drop-name]");
    const show = () => {
      if (input.files.length) name.textContent = input.files[0].name;
    };
    input.addEventListener("change", show);
    ["dragenter", "dragover"].forEach((kind) =>
      area.addEventListener(kind, (event) => {
        event.preventDefault();
        area.classList.add("is-over");
      }),
    );
    ["dragleave", "drop"].forEach((kind) => area.addEventListener(kind, () => area.classList.remove("is-over")));
    area.addEventListener("drop", (event) => {
      event.preventDefault();
      if (event.dataTransfer.files.length) {
        input.files = event.dataTransfer.files;
        show();
      }
    });
  }
  document.addEventListener("change", (event) => {
    if (!event.target.matches("[data-target]")) return;
    const type = event.target.closest("[data-column]").querySelector("[data-type]");
    if (type) type.hidden = event.target.value !== "new";
  });
})();
