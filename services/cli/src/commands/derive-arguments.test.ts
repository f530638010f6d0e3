import { expect, test } from "vitest";
import { uploadName } from "./jobs-derive.ts";
import { suffixOf } from "./models-weights.ts";

test.each([
  ["cat.jpg", "cat.jpg"],
  ["Bär (1).PNG", "Ba_r _1_.PNG"],
  [".hidden.jpg", "_.hidden.jpg"],
  [`${"x".repeat(300)}.png`, `${"x".repeat(176)}.png`],
])("the file %s is uploaded as %s", (name, expected) => {
  expect(uploadName(name)).toBe(expected);
  expect(uploadName(name)).toMatch(/^\w[\w. -]*$/);
});

test("weights are known by how their name ends", () => {
  expect(suffixOf("a/resnet18.A1.safetensors")).toBe(".safetensors");
  expect(suffixOf("YOLO11N.PT")).toBe(".pt");
  expect(() => suffixOf("model.onnx")).toThrow(/expected a file that ends in .safetensors, .tar, .pt/);
});
