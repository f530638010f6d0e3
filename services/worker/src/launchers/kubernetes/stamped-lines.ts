/** Reads a log in which Kubernetes put the time before each line, and knows where to go on after a cut. Pure. */

/** How far a log was read: the time of the last line, and how much of what carries that time. */
export interface LogPosition {
  /** Sortable: seconds since 1970 and nanoseconds; empty at the beginning. */
  stamp: string;
  /** Whole lines read that carry this very time. */
  lines: number;
  /** Bytes read of one more such line, which had not ended yet. */
  bytes: number;
}

export interface StampedLines {
  /** The log's own bytes in this piece, as far as they were not read before. */
  feed(piece: Buffer): Buffer[];
  /** What came without a time: not the trainer's words but the node's, such as that the log cannot be read. */
  foreign(): string;
}

const NEWLINE = 10;
const BLANK = 32;
const LONGEST_STAMP = 64;
const MOST_FOREIGN = 500;
const STAMP = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/;

function sortable(text: string): string | null {
  const [, second, nanos = "", zone] = STAMP.exec(text) ?? [];
  const time = Date.parse(`${second}${zone}`);
  return Number.isNaN(time) ? null : `${String(time / 1000).padStart(12, "0")}.${nanos.padEnd(9, "0")}`;
}

/** For `sinceTime`, which knows whole seconds only: the second in which the position lies. */
export function sinceTime(position: LogPosition): string | undefined {
  return position.stamp === "" ? undefined : new Date(Number(position.stamp.split(".")[0]) * 1000).toISOString();
}

/** `position` is kept up to date; a reader of the next connection starts with the same one. */
export function createStampedLines(position: LogPosition): StampedLines {
  const start = { ...position };
  let seen = 0;
  let head = Buffer.alloc(0);
  /** Inside a line: how many of its bytes are known already; undefined before its time was read. */
  let skip: number | undefined;
  let isForeign = false;
  let foreign = "";

  function begin(stamp: string): void {
    if (stamp < start.stamp) skip = Number.POSITIVE_INFINITY;
    else if (stamp === start.stamp && start.stamp !== "") {
      skip = seen < start.lines ? Number.POSITIVE_INFINITY : seen === start.lines ? start.bytes : 0;
      seen += 1;
    } else skip = 0;
    if (skip === Number.POSITIVE_INFINITY) return;
    if (stamp !== position.stamp) Object.assign(position, { stamp, lines: 0, bytes: 0 });
  }

  /** Answers with how many bytes of the piece belong to the head of the line. */
  function readHead(piece: Buffer, from: number): number {
    let end = from;
    while (end < piece.length && piece[end] !== BLANK && piece[end] !== NEWLINE) end += 1;
    head = Buffer.concat([head, piece.subarray(from, end)]);
    if (end === piece.length && head.length <= LONGEST_STAMP) return end - from;
    const stamp = piece[end] === BLANK ? sortable(head.toString("latin1")) : null;
    if (stamp === null) {
      isForeign = true;
      foreign = `${foreign}${head.toString("utf8")}`.slice(0, MOST_FOREIGN);
      skip = Number.POSITIVE_INFINITY;
    } else begin(stamp);
    head = Buffer.alloc(0);
    return end - from + (stamp === null ? 0 : 1);
  }

  function readBody(piece: Buffer, from: number, out: Buffer[]): number {
    const newline = piece.indexOf(NEWLINE, from);
    const end = newline === -1 ? piece.length : newline + 1;
    const body = piece.subarray(from, end);
    const known = skip ?? 0;
    if (isForeign) foreign = `${foreign}${body.toString("utf8")}`.slice(0, MOST_FOREIGN);
    const fresh = body.subarray(Math.min(body.length, known));
    if (fresh.length > 0) out.push(fresh);
    if (known !== Number.POSITIVE_INFINITY) {
      position.bytes += fresh.length;
      skip = Math.max(0, known - body.length);
    }
    if (newline !== -1) {
      if (known !== Number.POSITIVE_INFINITY) Object.assign(position, { lines: position.lines + 1, bytes: 0 });
      skip = undefined;
      isForeign = false;
    }
    return end - from;
  }

  return {
    feed(piece) {
      const out: Buffer[] = [];
      for (let at = 0; at < piece.length; ) {
        at += skip === undefined ? readHead(piece, at) : readBody(piece, at, out);
      }
      return out;
    },
    foreign: () => foreign.trim(),
  };
}
