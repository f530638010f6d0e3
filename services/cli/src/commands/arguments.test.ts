import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { UsageError } from "../output/failure.ts";
import { parseConfig, parseJobId, positiveNumber, wholeNumber } from "./arguments.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "vp-cli-"));
});
afterAll(() => rm(folder, { recursive: true }));

test.each(["6", "#6", "job:6", "job 6", " 6 "])("%s is job 6", (text) => expect(parseJobId(text)).toBe(6));
test.each(["", "0", "-1", "6x", "job:", "1.5", "99999999999"])("%s is no job", (text) => {
  expect(() => parseJobId(text)).toThrow(UsageError);
});

test("numbers", () => {
  expect(wholeNumber(1)("12")).toBe(12);
  for (const text of ["0", "x", "1.5", "-1", ""]) expect(() => wholeNumber(1)(text)).toThrow(/whole number from 1/);
  expect(positiveNumber("1e-3")).toBe(0.001);
  for (const text of ["0", "-1", "", "abc", "Infinity"]) expect(() => positiveNumber(text)).toThrow(/above 0/);
});

test("settings are read as JSON where they are, with paths and files; later ones win", async () => {
  const file = join(folder, "config.json");
  await writeFile(file, JSON.stringify({ ema: true, image_size: 64 }));
  expect(
    await parseConfig([file, "image_size=32", "name=a=b", "augment.flip=false", "augment.crop=0.5", "list=[1,2]"]),
  ).toEqual({
    ema: true,
    image_size: 32,
    name: "a=b",
    augment: { flip: false, crop: 0.5 },
    list: [1, 2],
  });
  expect(await parseConfig([`@${file}`])).toEqual({ ema: true, image_size: 64 });
});

test.each(["nothing.json", "=1", "a..b=1", "__proto__.x=1"])("%s is refused", async (entry) => {
  await expect(parseConfig([entry])).rejects.toThrow(UsageError);
});

test("a file that is no object is refused", async () => {
  const file = join(folder, "list.json");
  await writeFile(file, "[1]");
  await expect(parseConfig([file])).rejects.toThrow(/JSON object/);
});
