import { expect, it } from "vitest";
import { countMemoryKills, ranOutOfMemory } from "./memory-evidence.ts";

const now = countMemoryKills();

it("believes the kernel's count", () => {
  expect(ranOutOfMemory(now - 1, false, "")).toBe(true);
  expect(ranOutOfMemory(now, false, "")).toBe(false);
});

it("believes the log only of a trainer that has a limit", () => {
  for (const words of [
    "MemoryError",
    "terminate called after throwing 'std::bad_alloc'",
    "OSError: Cannot allocate memory",
  ]) {
    expect(ranOutOfMemory(now, true, words)).toBe(true);
    expect(ranOutOfMemory(now, false, words)).toBe(false);
  }
  expect(ranOutOfMemory(now, true, "CUDA out of memory")).toBe(false);
});
