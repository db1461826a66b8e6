// The rule as text: line numbers, the lines with problems, and the way to one of them.

const LINE = 1.5 * 13; // px; the same in builder.css

export class Text {
  constructor(textarea, gutter) {
    this.textarea = textarea;
    this.gutter = gutter;
    this.bad = [];
    gutter.replaceChildren(document.createElement("div"));
    this.numbers = gutter.firstElementChild;
    textarea.addEventListener("scroll", () => this.follow());
    this.draw();
  }

  draw() {
    const lines = this.textarea.value.split("\n").length;
    if (lines !== this.lines) {
      this.lines = lines;
      this.numbers.textContent = Array.from({ length: lines }, (_, index) => index + 1).join("\n");
    }
    this.follow();
  }

  /** Mark the lines that the server found fault with. */
  mark(lines) {
    for (const old of this.bad) old.remove();
    this.bad = [...new Set(lines)].map((line) => {
      const mark = document.createElement("span");
      mark.className = "builder-bad-line";
      mark.style.top = `${(line - 1) * LINE}px`;
      this.numbers.append(mark);
      return mark;
    });
  }

  follow() {
    this.gutter.scrollTop = this.textarea.scrollTop;
  }

  /** Select a line, counted from 1, and bring it into sight. */
  go(line) {
    const lines = this.textarea.value.split("\n");
    const start = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0);
    this.textarea.focus();
    this.textarea.setSelectionRange(start, start + (lines[line - 1] ?? "").length);
    this.textarea.scrollTop = Math.max(0, (line - 4) * LINE);
  }
}
