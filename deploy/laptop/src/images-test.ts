/** `./vp images test`: is each image what it says, holds it nothing else, and is it as safe as it should be? */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { ImageSettings } from "./config.ts";
import { reference } from "./images-build.ts";
import { imageFacts, imageHistory, inspectInside, runEnclosed, searchFiles } from "./images-docker.ts";
import { type Isolation, isolationOf, locksOf } from "./images-isolation.ts";
import type { Image } from "./images-plan.ts";
import { ROOT } from "./paths.ts";

/** One thing that was looked at; `problem` is null when it is as it should be. */
export type Finding = { image: string; check: string; problem: string | null };

const TRAINER_UID = 10_001;
const SERVICE_UID = 10_000;

const probed = z.object({
  uid: z.number(),
  gid: z.number(),
  python: z.string(),
  first_process: z.string(),
  secrets_readable: z.boolean(),
  writable: z.array(z.string()),
  imports: z.record(z.string(), z.string()),
});

const packages = z.object({
  installed: z.record(z.string(), z.string()),
  drift: z.array(z.string()),
  broken: z.array(z.string()),
});

/**
 * Looks at one built image.
 * @param all every image there is: what is in the others must not be in this one.
 * @throws ToolError when the image is not there or cannot be run at all.
 */
export async function testImage(image: Image, all: Image[], settings: ImageSettings): Promise<Finding[]> {
  const name = reference(image, settings);
  const found = [...(await settingsOf(image, name)), ...(await filesOf(name))];
  if (image.target === "worker-with-trainer") {
    found.push(...(await serviceOf(name, "worker")), ...(await packagesOf(image, all, name, settings)));
  } else if (isPython(image)) {
    found.push(...(await insideOf(image, all, name)), ...(await packagesOf(image, all, name, settings)));
  } else found.push(...(await serviceOf(name, image.name)));
  return found.map((finding) => ({ image: image.name, ...finding }));
}

type Bare = Omit<Finding, "image">;

function expect(check: string, problems: readonly string[] | boolean): Bare {
  if (problems === true) return { check, problem: null };
  if (problems === false) return { check, problem: "it is not so" };
  return { check, problem: problems.length === 0 ? null : problems.join("; ") };
}

/** True for images whose program is Python. */
export function isPython(image: Image): boolean {
  return image.framework !== undefined || ["base", "torch"].includes(image.name);
}

async function settingsOf(image: Image, name: string): Promise<Bare[]> {
  const { Config } = await imageFacts(name, image.name);
  const history = await imageHistory(name);
  const labels = Config.Labels ?? {};
  const missing = ["title", "version", "revision", "licenses"].filter(
    (key) => !labels[`org.opencontainers.image.${key}`],
  );
  const license = labels["org.opencontainers.image.licenses"];
  const uid = image.target === "worker-with-trainer" || !isPython(image) ? SERVICE_UID : TRAINER_UID;
  const spoken = [...(Config.Env ?? []), ...history.map(({ by }) => by)];
  const service = !isPython(image) || image.target === "worker-with-trainer";
  return [
    expect(`user is ${uid}`, Config.User === `${uid}:${uid}`),
    expect("tini is the entry", Config.Entrypoint?.[0] === "/usr/bin/tini"),
    expect("labels are complete", missing),
    expect(`licence is ${image.license}`, license === image.license ? [] : [`it is ${license}`]),
    expect("history and environment hold no secret", spoken.filter(holdsSecret)),
    ...(service ? [expect("has a health check", Config.Healthcheck?.Test[1] === "node")] : []),
  ];
}

/** `NAME=value` where the name is that of a secret. (The official Python images name the public key they were checked by.) */
export function holdsSecret(text: string): boolean {
  return /\b(?!GPG_KEY)\w*(SECRET|TOKEN|PASSWORD|PASSWD|CREDENTIAL|PRIVATE|_KEY)\w*=["']?[^\s"']/i.test(text);
}

/** A section per question; each answers with the paths that should not be there. */
const SEARCHES: [string, string][] = [
  ["no setuid file", "find / -xdev -type f -perm /6000"],
  [
    "no compiler, no installer",
    "for p in cc gcc g++ c++ clang make ld as pip pip3 npm npx yarn corepack; do command -v $p; done",
  ],
  [
    "no cache",
    "find /root/.cache /root/.npm /root/.local /var/lib/apt/lists /var/cache/apt/archives /tmp -type f ! -name lock",
  ],
  ["no file that everybody may write", "find / -xdev -type f -perm -0002 ! -path '/proc/*' ! -path '/sys/*'"],
  [
    "no key, no local setting",
    "find / -xdev ! -path '/proc/*' ! -path '/etc/ssl/*' ! -path '/usr/share/*' ! -path '/usr/lib/ssl/*' " +
      "\\( -name .env -o -name .netrc -o -name .npmrc -o -name .git -o -name 'id_*sa' -o -name '*.key' -o -name .pypirc \\)",
  ],
  [
    "no test",
    "find /app /opt/vision-platform \\( -path '*/node_modules' -prune \\) -o \\( -name '*.test.ts' -o -name tests \\) -print",
  ],
  ["tini can be run, not read", "f=$(readlink -f /usr/bin/tini); [ $(stat -c %a%u $f) = 7110 ] || stat -c '%a %U' $f"],
];

async function filesOf(name: string): Promise<Bare[]> {
  const script = SEARCHES.map(([, search], index) => `echo "#${index}"; { ${search}; } 2>/dev/null | head -n 5`);
  const sections = (await searchFiles(name, `${script.join("; ")}; true`)).split(/^#\d+\n/m).slice(1);
  return SEARCHES.map(([check], index) =>
    expect(
      check,
      (sections[index] ?? "not answered").split("\n").filter((line) => line !== ""),
    ),
  );
}

async function insideOf(image: Image, all: Image[], name: string): Promise<Bare[]> {
  const isolation = isolationOf(image, all);
  const code = readFileSync(join(ROOT, "deploy/images/probe.py"), "utf8");
  const asked = {
    modules: [...isolation.own, ...isolation.foreign],
    packages: [...isolation.ownPackages, ...isolation.foreignPackages],
  };
  const said = await runEnclosed(name, ["python", "-c", code, JSON.stringify(asked)], TRAINER_UID);
  const probe = probed.parse(JSON.parse(said));
  return [
    expect("runs as 10001:10001", probe.uid === TRAINER_UID && probe.gid === TRAINER_UID),
    expect("Python is 3.11", probe.python === "3.11"),
    expect("pid 1 is tini", probe.first_process === "tini"),
    expect("a job's secrets cannot be read from pid 1", !probe.secrets_readable),
    expect("only /tmp and /work can be written", notOnly(["/tmp", "/work"], probe.writable)),
    ...importsOf(isolation, probe.imports),
  ];
}

function notOnly(allowed: string[], found: string[]): string[] {
  return [
    ...found.filter((path) => !allowed.includes(path)),
    ...allowed.filter((path) => !found.includes(path)).map((path) => `${path} cannot be written`),
  ];
}

function importsOf(isolation: Isolation, imports: Record<string, string>): Bare[] {
  const own = [...isolation.own, ...isolation.ownPackages.filter((name) => imports[name] !== "absent")];
  const foreign = [...isolation.foreign, ...isolation.foreignPackages];
  const failed = own.filter((name) => imports[name] !== "yes").map((name) => `${name}: ${imports[name]}`);
  return [
    expect(`imports its own: ${own.join(", ") || "nothing"}`, failed),
    expect(
      `fails to import ${foreign.length} modules of other frameworks`,
      foreign.filter((name) => imports[name] !== "absent"),
    ),
  ];
}

async function packagesOf(image: Image, all: Image[], name: string, settings: ImageSettings): Promise<Bare[]> {
  const found = await inspectInside(name, "python", ["packages.json"], { LOCKS: locksOf(image).join(" ") }, settings);
  const { installed, drift, broken } = packages.parse(JSON.parse(found["packages.json"]));
  const leaked = isolationOf(image, all).foreignPackages.filter((foreign) => foreign in installed);
  return [
    expect(`${Object.keys(installed).length} packages fit together`, broken),
    expect("versions equal the lock", drift),
    expect("no package that only another framework has", leaked),
  ];
}

/** Without settings a service says what it needs: so every module of it was found and loaded, behind a read-only root. */
async function serviceOf(name: string, service: string): Promise<Bare[]> {
  const said = await runEnclosed(name, [], SERVICE_UID).catch((error: Error) => error.message);
  return [expect("starts, and asks for its settings", said.includes(`${service} cannot start:`) ? [] : [said])];
}
