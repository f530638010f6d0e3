/** The rule of every reader: apply last + 1, drop what is known, and on a gap ask again from the cursor. */

export type CursorVerdict = "apply" | "known" | "gap";

export class Cursor {
  /** Number of the last event that was applied. */
  last: number;

  constructor(after: number) {
    this.last = after;
  }

  /** Moves on when `seq` is the next one. */
  take(seq: number): CursorVerdict {
    if (seq <= this.last) return "known";
    if (seq > this.last + 1) return "gap";
    this.last = seq;
    return "apply";
  }
}
