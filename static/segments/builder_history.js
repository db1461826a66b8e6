// What the rule was before: one step for each change of the structure, one for each burst of typing in one control.

const MOST = 100;
const BURST = 1500; // ms between two keys of one burst

export class History {
  constructor() {
    this.past = [];
    this.future = [];
    this.control = null;
    this.at = 0;
  }

  /** The text before a change; `control` is the input that was typed in, null for anything else. */
  note(text, control = null) {
    const now = Date.now();
    const goesOn = control && control === this.control && now - this.at < BURST;
    this.control = control;
    this.at = now;
    this.future = [];
    if (goesOn) return;
    this.past.push(text);
    if (this.past.length > MOST) this.past.shift();
  }

  /** The text to go back (or forward) to, undefined when there is none; `settle` takes the step. */
  peek(isBack) {
    return (isBack ? this.past : this.future).at(-1);
  }

  settle(isBack, current) {
    (isBack ? this.past : this.future).pop();
    (isBack ? this.future : this.past).push(current);
    this.control = null;
  }
}
