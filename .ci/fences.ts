/** Who may import what (ARCHITECTURE.md, "Fences"). Prints each import that crosses a fence and exits 1. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";

interface Fence {
  library: RegExp;
  /** Paths that may import it. */
  allowed: RegExp;
  rule: string;
}

const FENCES: Fence[] = [
  {
    library: /^(kysely|pg)(\/|$)/,
    allowed: /^services\/gateway\/src\/(db\/|.*\.repository\.ts$)/,
    rule: "kysely and pg only in the gateway's repositories and db/",
  },
  {
    library: /^bullmq$/,
    allowed: /^services\/(gateway\/src\/dispatch|worker\/src)\//,
    rule: "bullmq only in the gateway's dispatch/ and in the worker",
  },
  { library: /^socket\.io$/, allowed: /^services\/notifier\/src\//, rule: "socket.io only in the notifier" },
  {
    library: /^(dockerode|@kubernetes\/client-node)$/,
    allowed: /^services\/worker\/src\/launchers\//,
    rule: "container engines only in the worker's launchers/",
  },
  {
    library: /^@vision-platform\/(gateway|worker|notifier|cli)(\/|$)/,
    allowed: /^$/,
    rule: "services never import each other",
  },
  {
    library: /^(\.\.\/)+services\//,
    allowed: /^$/,
    rule: "reach a package by its name, not by a path across folders",
  },
];

/** Tests set up real parts by hand; benchmarks measure the bare libraries beside the platform. */
const EXEMPT = /(\.test\.ts|\/testing\.ts|^(bench|conformance|e2e)\/.*|^deploy\/laptop\/src\/test-services\.ts)$/;
const IMPORT = /(?:from|import)\s*\(?\s*["']([^"']+)["']/g;

/** The fences that `source`, the text of the file at `path`, crosses. */
export function crossings(path: string, source: string): string[] {
  if (EXEMPT.test(path)) return [];
  const imported = [...source.matchAll(IMPORT)].map((match) => match[1] ?? "");
  return FENCES.filter((fence) => !fence.allowed.test(path))
    .flatMap((fence) => imported.filter((name) => fence.library.test(name)).map((name) => ({ fence, name })))
    .map(({ fence, name }) => `${path} imports ${name}: ${fence.rule}`);
}

if (import.meta.main) {
  const cwd = resolve(import.meta.dirname, "..");
  const listed = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "*.ts"], {
    cwd,
    encoding: "utf8",
  });
  const files = listed.split("\n").filter((path) => path !== "");
  const found = files.flatMap((path) => crossings(path, readFileSync(join(cwd, path), "utf8")));
  for (const line of found) process.stderr.write(`${line}\n`);
  if (found.length > 0) process.exit(1);
  process.stdout.write(`fences: ${files.length} files keep them\n`);
}
