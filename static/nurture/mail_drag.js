// Sections and what stands in columns, moved by their grips with mouse, pen or finger: where they would land.

import { Drag } from "../segments/builder_drag.js";

export class MailDrag extends Drag {
  goalAt(item, x, y) {
    const under = document.elementFromPoint(x, y);
    if (!under || !this.canvas.contains(under) || item.contains(under)) return null;
    return item.dataset.section === undefined ? this.inColumn(under, y) : this.betweenSections(item, under, y);
  }

  inColumn(under, y) {
    const list = under.closest("[data-list]") ?? under.closest(".mail-section")?.querySelector("[data-list]");
    return list && { list, before: this.firstBelow([...list.children].filter((one) => one.dataset.path && !one.matches(".mail-empty")), y) };
  }

  /** Frames stand between the others only, sections also in frames. */
  betweenSections(item, under, y) {
    const list = (item.matches(".mail-frame-box") ? null : under.closest("[data-bands]")) ?? this.canvas;
    return { list, before: this.firstBelow([...list.children], y) };
  }

  firstBelow(parts, y) {
    return parts.find((one) => y < one.getBoundingClientRect().top + one.offsetHeight / 2) ?? null;
  }
}
