/** Cursor pagination, the same for every list: rows after a position, never an offset. */
import { invalid } from "@vision-platform/common/app-error";
import type { z } from "zod";

export interface Page<Item> {
  items: Item[];
  next_cursor: string | null;
}

/**
 * The position inside an opaque cursor, checked by `schema` (for example `z.tuple([z.int()])`: the last row's id).
 * Undefined for the first page. Throws 422 at /query/cursor when it is not one of ours.
 */
export function readCursor<Position>(cursor: string | undefined, schema: z.ZodType<Position>): Position | undefined {
  if (cursor === undefined) return undefined;
  try {
    return schema.parse(JSON.parse(Buffer.from(cursor, "base64url").toString()));
  } catch {
    throw invalid([{ pointer: "/query/cursor", detail: "not a cursor of this list" }]);
  }
}

/**
 * Makes a page of `rows`, of which one more than `limit` was asked for: the surplus row tells that there is a next page.
 * `positionOf` names a row's place in the order of the list, as JSON.
 */
export function pageFrom<Row, Item>(
  rows: Row[],
  limit: number,
  positionOf: (row: Row) => unknown,
  itemOf: (row: Row) => Item,
): Page<Item> {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const more = rows.length > limit && last !== undefined;
  return {
    items: shown.map(itemOf),
    next_cursor: more ? Buffer.from(JSON.stringify(positionOf(last))).toString("base64url") : null,
  };
}
