/** What is publicly known against packages, as pip-audit and npm audit find it out. */
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { fetchEnvironment } from "./config.ts";
import { ROOT, vpPaths } from "./paths.ts";
import { ensureEnv } from "./python-env.ts";
import { toolEnvironment } from "./suite.ts";

const audited = z.object({
  dependencies: z.array(
    z.object({
      name: z.string(),
      version: z.string().optional(),
      skip_reason: z.string().optional(),
      vulns: z.array(z.object({ id: z.string(), fix_versions: z.array(z.string()) })).default([]),
    }),
  ),
});
const npmAudited = z.object({
  vulnerabilities: z.record(z.string(), z.object({ severity: z.string(), range: z.string() })),
});

/** What is known against an image. `unknown`: why nobody can say; then an empty list means nothing. */
export type Known = { vulnerabilities: string[]; unknown: string | null };

/** Seconds that an audit may take; a database that does not answer by then cannot be reached. */
const LIMIT_MS = 120_000;

/**
 * Asks PyPI's database. pip-audit also says "none known" of packages that it could not ask for: those are unknown here.
 * @param packages lines such as `torch==2.15.0`.
 */
export async function knownOfPython(packages: string[]): Promise<Known> {
  const env = { name: "sbom", path: join(vpPaths().envs, "sbom"), editable: [] };
  await ensureEnv({ ...env, lock: join(ROOT, "deploy/images/requirements-sbom.lock") });
  const folder = mkdtempSync(join(tmpdir(), "vp-audit-"));
  const [list, answer] = [join(folder, "list.txt"), join(folder, "answer.json")];
  try {
    writeFileSync(list, packages.join("\n"));
    const what = ["--requirement", list, "--no-deps", "--disable-pip", "--progress-spinner", "off", "--timeout", "15"];
    const args = [...what, "--format", "json", "--output", answer];
    const { said } = await captured(join(env.path, "bin/pip-audit"), args, fetchEnvironment());
    if (!existsSync(answer)) return notKnown("pip-audit", said);
    return ofPipAudit(readFileSync(answer, "utf8"));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What the answer of pip-audit comes to. */
export function ofPipAudit(text: string): Known {
  const { dependencies } = audited.parse(JSON.parse(text));
  const vulnerabilities = dependencies.flatMap(({ name, version, vulns }) =>
    vulns.map(
      ({ id, fix_versions }) => `${name} ${version}: ${id}, repaired in ${fix_versions.join(", ") || "no version"}`,
    ),
  );
  const skipped = dependencies.filter(({ skip_reason }) => skip_reason !== undefined);
  const reason = skipped[0]?.skip_reason;
  const unknown = reason === undefined ? null : `${skipped.length} of ${dependencies.length} packages: ${reason}`;
  return { vulnerabilities, unknown };
}

/** Asks npm's database about the packages of one service, by the lock. */
export async function knownOfNode(service: string): Promise<Known> {
  const args = ["audit", "--json", "--omit=dev", "--workspace", `services/${service}`];
  const { out, said } = await captured("npm", args, { ...fetchEnvironment(), ...toolEnvironment() });
  const parsed = npmAudited.safeParse(parsedJson(out));
  if (!parsed.success) return notKnown("npm audit", said);
  const found = Object.entries(parsed.data.vulnerabilities);
  return {
    vulnerabilities: found.map(([name, { severity, range }]) => `${name} ${range}: ${severity}`),
    unknown: null,
  };
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function notKnown(tool: string, said: string): Known {
  // npm's last word is where its log lies.
  const lines = said.split("\n").filter((line) => /error/i.test(line) && !line.includes("complete log of this run"));
  return { vulnerabilities: [], unknown: `${tool} reached no database: ${lines.at(-1)?.trim() || "it said nothing"}` };
}

/** Both tools end with 1 when they find something, so the exit code says nothing here. */
function captured(
  command: string,
  args: string[],
  env: Record<string, string>,
): Promise<{ out: string; said: string }> {
  return new Promise((done) => {
    const options = { env, cwd: ROOT, timeout: LIMIT_MS, maxBuffer: 64 * 1024 ** 2 };
    execFile(command, args, options, (error, out, said) => done({ out, said: `${said}\n${error?.message ?? ""}` }));
  });
}
