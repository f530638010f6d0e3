/** What install.sh leaves out of the CPU variant, held against the locks: their comments say who needs a package. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { allImages } from "./images-plan.ts";
import { ROOT } from "./paths.ts";

const script = readFileSync(join(ROOT, "deploy/images/install.sh"), "utf8");
const leftOut = /cpu\) left_out='([^']+)'/.exec(script)?.[1] ?? "install.sh names nothing";

/** Package → who needs it, as `uv pip compile` writes it below each line. */
function needsOf(lock: string): Map<string, string[]> {
  const blocks = readFileSync(lock, "utf8").split(/^(?=[a-z0-9])/m);
  return new Map(
    blocks.map((block) => {
      const [first = "", ...comments] = block.split("\n");
      const names = comments
        .join(" ")
        .replaceAll("#", " ")
        .replace(/\bvia\b/, " ")
        .replace(/\(.*?\)/g, " ");
      return [first.split(/[=[ ]/)[0] ?? "", names.split(/\s+/).filter((name) => name !== "")];
    }),
  );
}

const torchLocks = allImages()
  .filter(({ target, args }) => target === "trainer" && args.TRAINER_PARENT === "torch-layers")
  .map(({ args }) => `trainers/${args.FRAMEWORK}/${args.LOCK}`);

it.each(torchLocks)("of %s goes what torch alone needs for GPUs, and nothing else does", (lock) => {
  const needs = needsOf(join(ROOT, lock));
  const kept = execFileSync("grep", ["-hvE", leftOut, lock], { cwd: ROOT, encoding: "utf8" });
  const gone = new Set([...needs.keys()].filter((name) => !new RegExp(`^${name}[=[ ]`, "m").test(kept)));
  expect(gone.size).toBeGreaterThan(10);
  for (const name of gone) {
    const others = needs.get(name)?.filter((user) => user !== "torch" && !gone.has(user));
    expect(others, `${name} is needed by`).toEqual([]);
  }
  const forGpus = (name: string, user: string) =>
    gone.has(user) || (user === "torch" && /^(nvidia|cuda|triton)/.test(name));
  const inVain = [...needs].filter(
    ([name, users]) => !gone.has(name) && users.length > 0 && users.every((user) => forGpus(name, user)),
  );
  expect(inVain).toEqual([]);
});
