/** Columns of text, as wide as they need to be. */
import { plain } from "./format.ts";

export interface Column<Row> {
  title: string;
  of: (row: Row) => string | number | null | undefined;
  align?: "left" | "right";
}

/** The lines of a table with its head; empty cells show `-`, the last column is not padded. */
export function tableLines<Row>(columns: Column<Row>[], rows: readonly Row[]): string[] {
  const cells = rows.map((row) => columns.map(({ of }) => plain(String(of(row) ?? "-")).replaceAll("\n", " ")));
  const titles = columns.map(({ title }) => title.toUpperCase());
  const widths = titles.map((title, index) => Math.max(title.length, ...cells.map((line) => line[index]?.length ?? 0)));
  return [titles, ...cells].map((line) =>
    line
      .map((cell, index) =>
        columns[index]?.align === "right" ? cell.padStart(widths[index] ?? 0) : cell.padEnd(widths[index] ?? 0),
      )
      .join("  ")
      .trimEnd(),
  );
}

/** `name  value` lines for one thing. */
export function fieldLines(fields: readonly (readonly [string, string | number | null | undefined])[]): string[] {
  const present = fields.filter(([, value]) => value !== null && value !== undefined && value !== "");
  const width = Math.max(0, ...present.map(([name]) => name.length));
  return present.map(([name, value]) => `${name.padEnd(width)}  ${plain(String(value))}`);
}
