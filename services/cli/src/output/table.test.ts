import { expect, test } from "vitest";
import { fieldLines, tableLines } from "./table.ts";

test("a table is as wide as its cells, with numbers to the right", () => {
  const rows = [
    { id: 7, name: "flowers", state: null },
    { id: 12, name: "a\nb", state: "READY" },
  ];
  const lines = tableLines(
    [
      { title: "id", of: (row) => row.id, align: "right" },
      { title: "name", of: (row) => row.name },
      { title: "state", of: (row) => row.state },
    ],
    rows,
  );
  expect(lines).toEqual(["ID  NAME     STATE", " 7  flowers  -", "12  a b      READY"]);
});

test("fields without a value are left out", () => {
  expect(
    fieldLines([
      ["job", 6],
      ["phase", null],
      ["state", "QUEUED"],
      ["notes", ""],
    ]),
  ).toEqual(["job    6", "state  QUEUED"]);
});
