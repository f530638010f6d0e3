/** From the trainer's raw output to lines that people can follow. Pure: no file, no clock. */

export const MAX_MESSAGE_CHARACTERS = 4_000;
/** In one look at the file (five a second); what is beyond is left out and counted. */
export const MAX_MESSAGES = 4;

export interface LogMessage {
  level: "debug" | "info" | "warning" | "error";
  message: string;
  /** Bytes of the file up to the end of these lines. */
  offset: number;
}

export interface LogLine {
  text: string;
  /** Bytes of the file up to the line's end. */
  offset: number;
}

const NEWLINE = 10;

/** Of a line that a progress bar wrote over and over, only what stood there at the end. */
export function collapseReturns(line: string): string {
  const parts = line.split("\r").filter((part) => part !== "");
  return parts.at(-1) ?? "";
}

export interface LineSplitter {
  /** The lines that end in these bytes, which come right after the ones before. */
  feed(bytes: Buffer): LogLine[];
  /** The last one, which no newline ended. */
  flush(): LogLine[];
}

/** Cuts what follows the file's first `offset` bytes into lines; empty ones are left out. */
export function createLineSplitter(offset = 0): LineSplitter {
  let rest = Buffer.alloc(0);
  let read = offset;
  const line = (bytes: Buffer, end: number) => ({ text: collapseReturns(bytes.toString("utf8")), offset: end });
  return {
    feed(bytes) {
      const lines: LogLine[] = [];
      const all = Buffer.concat([rest, bytes]);
      const start = read - rest.length;
      let from = 0;
      for (let end = all.indexOf(NEWLINE); end >= 0; end = all.indexOf(NEWLINE, from)) {
        lines.push(line(all.subarray(from, end), start + end + 1));
        from = end + 1;
      }
      read += bytes.length;
      // A progress bar without any newline must not grow for ever.
      rest = Buffer.from(all.subarray(Math.max(from, all.length - 4 * MAX_MESSAGE_CHARACTERS)));
      return lines.filter(({ text }) => text !== "");
    },
    flush() {
      const last = line(rest, read);
      rest = Buffer.alloc(0);
      return last.text === "" ? [] : [last];
    },
  };
}

const LEVELS: Record<string, LogMessage["level"]> = {
  debug: "debug",
  info: "info",
  warning: "warning",
  warn: "warning",
  error: "error",
  critical: "error",
};

/** A JSON line of a logger (level, message, error) as its message; any other line as it is. */
export function readLine(line: string): Omit<LogMessage, "offset"> {
  if (line.startsWith("{")) {
    try {
      const { level, message, error } = JSON.parse(line) as Record<string, unknown>;
      if (typeof message === "string") {
        const text = typeof error === "string" ? `${message}\n${error}` : message;
        return { level: LEVELS[String(level)] ?? "info", message: text };
      }
    } catch {
      // Not JSON after all.
    }
  }
  return { level: "info", message: line };
}

function cut(message: string): string {
  return message.length <= MAX_MESSAGE_CHARACTERS ? message : `${message.slice(0, MAX_MESSAGE_CHARACTERS - 1)}…`;
}

function join(lines: readonly LogLine[]): LogMessage[] {
  const messages: LogMessage[] = [];
  for (const { text, offset } of lines) {
    const next = readLine(text);
    const last = messages.at(-1);
    if (last && last.level === next.level && last.message.length + next.message.length < MAX_MESSAGE_CHARACTERS) {
      last.message += `\n${next.message}`;
      last.offset = offset;
    } else {
      messages.push({ level: next.level, message: cut(next.message), offset });
    }
  }
  return messages;
}

/** Joins lines to few messages. With too many, the newest stay (an error stands at the end), and a sentence says so. */
export function toMessages(lines: readonly LogLine[]): LogMessage[] {
  const messages = join(lines);
  if (messages.length <= MAX_MESSAGES) return messages;
  const kept = messages.slice(-MAX_MESSAGES);
  const dropped = messages.slice(0, -MAX_MESSAGES);
  const count = dropped.reduce((sum, { message }) => sum + message.split("\n").length, 0);
  const message = `… ${count} lines left out here; the log file has them all`;
  return [{ level: "info", message, offset: dropped.at(-1)?.offset ?? 0 }, ...kept];
}
