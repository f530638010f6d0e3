/** A program `nvidia-smi` for tests: it prints what the tool of a machine with such GPUs prints. */
import { chmodSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const FIXTURES = join(import.meta.dirname, "../gpus/fixtures");

export type Machine = "no-gpu" | "one-gpu" | "four-gpus" | "mig";

/** A new temporary folder with the program in it, to be put in front of PATH; the caller removes it. */
export function fakeNvidiaSmi(machine: Machine): string {
  const folder = mkdtempSync(join(tmpdir(), "vp-nvidia-smi-"));
  const list = join(FIXTURES, machine === "mig" ? "mig-list.txt" : "README.md");
  const program = `#!/bin/sh
case "$*" in
  "-q -x") exec cat ${join(FIXTURES, `${machine}.xml`)} ;;
  "-L") exec cat ${list} ;;
esac
echo "unknown arguments: $*" >&2
exit 2
`;
  writeFileSync(join(folder, "nvidia-smi"), program);
  chmodSync(join(folder, "nvidia-smi"), 0o755);
  return folder;
}
