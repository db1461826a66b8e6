// The words of a table, cell by cell; rows and columns come and go. Tags of rows and cells stay as they are, new ones are like their neighbours.

import { Words, drawn, written } from "./mail_words.js";

export class TableWords extends Words {
  constructor(home, html, tell) {
    super(home, html, tell);
    home.addEventListener("click", (event) => this.shape(event.target.closest("[data-table-do]")?.dataset.tableDo));
  }

  fill(html) {
    this.table = document.createElement("table");
    this.table.className = "mail-table";
    this.table.append(drawn(html, { isTable: true }));
    this.box.replaceChildren(this.table);
    this.open();
  }

  /** Each cell can be written in. */
  open() {
    [...this.table.rows].forEach((row, down) => {
      [...row.cells].forEach((cell, right) => {
        cell.contentEditable = "true";
        cell.setAttribute("aria-label", this.box.dataset.cell.replace("{row}", down + 1).replace("{column}", right + 1));
      });
    });
  }

  get source() {
    return written(this.table);
  }

  get cell() {
    const at = this.saved?.commonAncestorContainer;
    const found = (at?.nodeType === Node.TEXT_NODE ? at.parentElement : at)?.closest("td, th");
    return found && this.table.contains(found) ? found : this.table.rows[0]?.cells[0];
  }

  get field() {
    return this.cell ?? this.box;
  }

  shape(what) {
    const { cell } = this;
    if (!what || !cell) return;
    const [row, right] = [cell.closest("tr"), cell.cellIndex];
    let next = cell;
    if (what === "add-row") next = this.addRow(row, right);
    else if (what === "add-column") next = this.addColumn(row, right);
    else if (what === "drop-row" && this.table.rows.length > 1) next = this.dropped([row], row, right);
    else if (what === "drop-column" && row.cells.length > 1) next = this.dropped([...this.table.rows].map((one) => one.cells[right]), row, right);
    this.open();
    this.saved = null;
    next.focus();
    document.getSelection().collapse(next, 0);
    this.changed({ isStep: true });
  }

  /** Like the row that it follows; below a row of headings like the next one. */
  addRow(row, right) {
    const next = [...this.table.rows][[...this.table.rows].indexOf(row) + 1];
    const model = next && [...row.cells].every((cell) => cell.nodeName === "TH") ? next : row;
    const fresh = model.cloneNode(false);
    for (const cell of model.cells) fresh.append(cell.cloneNode(false));
    const space = row.previousSibling?.nodeType === Node.TEXT_NODE ? [row.previousSibling.cloneNode()] : [];
    row.after(...space, fresh);
    return fresh.cells[Math.min(right, fresh.cells.length - 1)];
  }

  addColumn(row, right) {
    for (const one of this.table.rows) {
      const beside = one.cells[right] ?? one.cells[one.cells.length - 1];
      beside?.after(beside.cloneNode(false));
    }
    return row.cells[right + 1];
  }

  dropped(parts, row, right) {
    const rows = [...this.table.rows];
    const near = rows[rows.indexOf(row) + 1] ?? rows[rows.indexOf(row) - 1];
    for (const part of parts) part?.remove();
    const left = this.table.contains(row) ? row : near;
    return left.cells[Math.min(right, left.cells.length - 1)];
  }
}
