/** What a trainer's image is built from, as one hash: whoever compares knows whether an image runs what lies in a checkout. */
import { createHash } from "node:crypto";
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";

/** The label of an image that holds the hash; the Dockerfile writes it after the last layer. */
export const SOURCE_LABEL = "vision-platform.source-hash";

/** The kit, which every trainer's image holds as well. */
const KIT = "sdk";

/** What deploy/images/Dockerfile.dockerignore keeps out of trainers' images; a test builds one and compares. */
const NEVER = /^(\..*|__pycache__|node_modules|build|testing|.*\.egg-info|.*\.test\.ts|.*testing\.ts)$/;
const NOT_OF_A_TRAINER = /^(tests|bench|requirements-dev\.lock)$/;

/** The files below a folder of `trainersDir`, by path from there. */
function filesOf(trainersDir: string, folder: string): string[] {
  const isTrainer = !folder.includes("/");
  const entries = readdirSync(join(trainersDir, folder), { withFileTypes: true });
  return entries
    .filter(({ name }) => !NEVER.test(name) && !(isTrainer && NOT_OF_A_TRAINER.test(name)))
    .flatMap((entry) => {
      const path = `${folder}/${entry.name}`;
      return entry.isDirectory() ? filesOf(trainersDir, path) : [path];
    });
}

/** Every file of a framework's image that is a trainer's or the kit's, by path from `trainersDir`, in a fixed order. */
export function sourceFiles(trainersDir: string, framework: string): string[] {
  return [KIT, framework].flatMap((folder) => filesOf(trainersDir, folder)).sort();
}

function content(file: string): Buffer | string {
  return lstatSync(file).isSymbolicLink() ? readlinkSync(file) : readFileSync(file);
}

/**
 * 64 hexadecimal digits over paths, contents and which files may be run, equal in every checkout of one commit. Null where
 * there are no sources to build from: a service's image has each trainer.json and no more.
 */
export function sourceHash(trainersDir: string, framework: string): string | null {
  if (![KIT, framework].every((folder) => existsSync(join(trainersDir, folder, "pyproject.toml")))) return null;
  const hash = createHash("sha256");
  for (const path of sourceFiles(trainersDir, framework)) {
    const file = join(trainersDir, path);
    const runs = (lstatSync(file).mode & 0o111) !== 0;
    const digest = createHash("sha256").update(content(file)).digest("hex");
    hash.update(`${path}\0${runs ? "x" : "-"}\0${digest}\n`);
  }
  return hash.digest("hex");
}
