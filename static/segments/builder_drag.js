// A row or group moved by its grip, with mouse, pen or finger. A line shows where it would land; Escape leaves everything as it was.

const STARTS = 5; // px before a press becomes a drag
const EDGE = 100; // px at the window's ends where it scrolls: before the bars that stand there

export class Drag {
  /** `land(item, list, before)` moves; `fits(item, list)` says whether the place may have it. */
  constructor(home, canvas, { land, fits }) {
    this.home = home;
    this.canvas = canvas;
    this.land = land;
    this.fits = fits;
    canvas.addEventListener("pointerdown", (event) => this.press(event));
  }

  press(event) {
    const grip = event.target.closest("[data-grip]");
    if (!grip || event.button !== 0) return;
    const item = grip.closest("[data-place]");
    if (!item) return;
    event.preventDefault(); // no text is selected on the way
    const from = { x: event.clientX, y: event.clientY };
    const ends = new AbortController();
    const { signal } = ends;
    this.goal = null;
    let isMoving = false;
    grip.setPointerCapture(event.pointerId);
    const end = () => {
      ends.abort();
      item.classList.remove("is-dragged");
      this.line?.remove();
      this.line = null;
    };
    grip.addEventListener(
      "pointermove",
      (move) => {
        if (!isMoving && Math.hypot(move.clientX - from.x, move.clientY - from.y) < STARTS) return;
        isMoving = true;
        item.classList.add("is-dragged");
        this.scroll(move.clientY);
        this.show(item, move.clientX, move.clientY);
      },
      { signal },
    );
    grip.addEventListener(
      "pointerup",
      () => {
        end();
        if (this.goal?.fits) this.land(item, this.goal.list, this.goal.before);
        grip.focus();
      },
      { signal },
    );
    grip.addEventListener("pointercancel", end, { signal });
    window.addEventListener(
      "keydown",
      (key) => {
        if (key.key !== "Escape") return;
        key.preventDefault();
        this.goal = null;
        end();
      },
      { signal, capture: true },
    );
  }

  /** Near the ends of what can be seen, the page or the panel moves on. */
  scroll(y) {
    let pane = this.home.parentElement;
    while (pane && !(pane.scrollHeight > pane.clientHeight && ["auto", "scroll"].includes(getComputedStyle(pane).overflowY))) pane = pane.parentElement;
    const box = pane?.getBoundingClientRect() ?? { top: 0, bottom: window.innerHeight };
    const by = y < box.top + EDGE ? -12 : y > box.bottom - EDGE ? 12 : 0;
    (pane ?? window).scrollBy(0, by);
  }

  /** The list and the item before which it would land, from what lies under the pointer. */
  goalAt(item, x, y) {
    const under = document.elementFromPoint(x, y);
    if (!under || !this.canvas.contains(under) || item.contains(under)) return null;
    const node = under.closest("[data-node]");
    if (!node) return null;
    const place = node.closest("[data-place]");
    const box = node.getBoundingClientRect();
    if (node.dataset.node !== "group") {
      return { list: place.parentElement, before: y < box.top + box.height / 2 ? place : place.nextElementSibling };
    }
    const list = node.querySelector("[data-children]");
    const head = node.querySelector(".builder-head").getBoundingClientRect();
    if (place && y < head.top + head.height / 3) return { list: place.parentElement, before: place };
    if (place && y > box.bottom - 8) return { list: place.parentElement, before: place.nextElementSibling };
    if (y < head.bottom + 4) return { list, before: list.firstElementChild };
    const after = [...list.children].find((one) => y < one.getBoundingClientRect().top + one.offsetHeight / 2);
    return { list, before: after ?? null };
  }

  show(item, x, y) {
    this.goal = this.goalAt(item, x, y);
    if (!this.goal) {
      this.line?.remove();
      this.line = null;
      return;
    }
    const { list, before } = this.goal;
    this.goal.fits = this.fits(item, list);
    this.line ??= this.home.appendChild(Object.assign(document.createElement("div"), { className: "builder-drop" }));
    this.line.classList.toggle("is-refused", !this.goal.fits);
    const frame = this.home.getBoundingClientRect();
    const inside = list.getBoundingClientRect();
    const last = list.lastElementChild?.getBoundingClientRect();
    const top = before ? before.getBoundingClientRect().top - 2 : (last?.bottom ?? inside.top) + 2;
    this.line.style.top = `${top - frame.top}px`;
    this.line.style.left = `${inside.left - frame.left}px`;
    this.line.style.width = `${Math.max(inside.width, 60)}px`;
  }
}
