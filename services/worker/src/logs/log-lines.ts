/** From the trainer's raw output to lines that people can follow. Pure: no file, no clock. */

export const MAX_MESSAGE_CHARACTERS = 4_000;
/** In one look at the file (five a second); what is beyond is left out and counted. */
export const MAX_MESSAGES = 4;

export interface LogMessage {
  level: "debug" | "info" | "warning" | "error";
  message: string;
}

/** Of a line that a progress bar wrote over and over, only what stood there at the end. */
export function collapseReturns(line: string): string {
  const parts = line.split("\r").filter((part) => part !== "");
  return parts.at(-1) ?? "";
}

/** Cuts a stream of text into lines. `flush` gives the last one, which no newline ended. */
export function createLineSplitter(): { feed(text: string): string[]; flush(): string[] } {
  let rest = "";
  return {
    feed(text) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      // A progress bar without any newline must not grow for ever.
      if (rest.length > MAX_MESSAGE_CHARACTERS) rest = collapseReturns(rest).slice(-MAX_MESSAGE_CHARACTERS);
      return lines.map(collapseReturns).filter((line) => line !== "");
    },
    flush() {
      const last = collapseReturns(rest);
      rest = "";
      return last === "" ? [] : [last];
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
export function readLine(line: string): LogMessage {
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

function join(lines: readonly string[]): LogMessage[] {
  const messages: LogMessage[] = [];
  for (const line of lines) {
    const next = readLine(line);
    const last = messages.at(-1);
    if (last && last.level === next.level && last.message.length + next.message.length < MAX_MESSAGE_CHARACTERS) {
      last.message += `\n${next.message}`;
    } else {
      messages.push({ level: next.level, message: cut(next.message) });
    }
  }
  return messages;
}

/** Joins lines to few messages. With too many, the newest stay (an error stands at the end), and a sentence says so. */
export function toMessages(lines: readonly string[]): LogMessage[] {
  const messages = join(lines);
  if (messages.length <= MAX_MESSAGES) return messages;
  const kept = messages.slice(-MAX_MESSAGES);
  const leftOut = messages.slice(0, -MAX_MESSAGES).reduce((sum, { message }) => sum + message.split("\n").length, 0);
  return [{ level: "info", message: `… ${leftOut} lines left out here; the log file has them all` }, ...kept];
}
