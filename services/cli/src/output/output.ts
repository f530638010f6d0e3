/** Where a command's words go: results to standard output, remarks to standard error; NDJSON with --json. */
import { type Column, fieldLines, tableLines } from "./table.ts";

export interface Streams {
  stdout: { write(text: string): unknown; isTTY?: boolean };
  stderr: { write(text: string): unknown; isTTY?: boolean };
}

export class Output {
  readonly json: boolean;
  /** A person looks on: bars may be drawn. */
  readonly isLive: boolean;
  readonly #streams: Streams;

  constructor(json: boolean, streams: Streams = process) {
    this.json = json;
    this.isLive = !json && streams.stdout.isTTY === true && streams.stderr.isTTY === true;
    this.#streams = streams;
  }

  /** A line of the result, for people. */
  line(text: string): void {
    if (!this.json) this.#streams.stdout.write(`${text}\n`);
  }

  /** A remark beside the result, for people. */
  note(text: string): void {
    if (!this.json) this.#streams.stderr.write(`${text}\n`);
  }

  /** One object of the result, for programs. */
  record(value: object): void {
    if (this.json) this.#streams.stdout.write(`${JSON.stringify(value)}\n`);
  }

  /** Many of the same: a table for people, one object a line for programs. */
  list<Row extends object>(rows: readonly Row[], columns: Column<Row>[], ifNone: string): void {
    for (const row of rows) this.record(row);
    if (this.json) return;
    if (rows.length === 0) this.note(ifNone);
    else for (const line of tableLines(columns, rows)) this.line(line);
  }

  /** One thing: its fields for people, the object for programs. */
  show(value: object, fields: readonly (readonly [string, string | number | null | undefined])[]): void {
    this.record(value);
    for (const line of fieldLines(fields)) this.line(line);
  }
}
