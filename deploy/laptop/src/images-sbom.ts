/** `./vp images sbom`: what is in each image (CycloneDX), and what is known against it. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { ImageSettings } from "./config.ts";
import { type Known, knownOfNode, knownOfPython } from "./images-audit.ts";
import { reference } from "./images-build.ts";
import { inspectInside } from "./images-docker.ts";
import { locksOf } from "./images-isolation.ts";
import type { Image } from "./images-plan.ts";
import { isPython } from "./images-test.ts";
import { vpPaths } from "./paths.ts";

const bill = z.looseObject({
  metadata: z.looseObject({}).optional(),
  components: z.array(z.looseObject({ name: z.string(), version: z.string().optional(), purl: z.string().optional() })),
});
/** The exit code for "it could not be found out", which is neither good nor bad. */
const NOT_KNOWN = 3;

/**
 * Writes `<image>.cdx.json` for each image and prints the known vulnerabilities of its packages from PyPI and npm.
 * @returns 0 none known, 1 there are some, 3 a list of vulnerabilities could not be reached.
 */
export async function sbom(
  chosen: Image[],
  settings: ImageSettings,
  { json = false, output = join(vpPaths().dir, "sbom") }: { json?: boolean; output?: string },
): Promise<number> {
  mkdirSync(output, { recursive: true });
  let [found, unknown] = [0, 0];
  for (const image of chosen) {
    const components = await billOf(image, settings, join(output, `${image.name}.cdx.json`));
    const known = await (isPython(image) ? knownOfPython(pythonPackages(components)) : knownOfNode(image.name));
    found += known.vulnerabilities.length;
    if (known.unknown !== null) unknown += 1;
    if (json) say(JSON.stringify({ event: "sbom", image: image.name, components: components.length, ...known }));
    else say(lines(image.name, components.length, known));
  }
  if (found > 0) return 1;
  return unknown > 0 ? NOT_KNOWN : 0;
}

type Components = z.infer<typeof bill>["components"];

/** Writes the bill of one image: the packages of its language, as a tool of that language lists them, and Debian's. */
async function billOf(image: Image, settings: ImageSettings, file: string): Promise<Components> {
  const name = reference(image, settings);
  const python = isPython(image);
  const args: Record<string, string> = python ? { LOCKS: locksOf(image).join(" ") } : {};
  const target = python ? "python" : "node";
  const inside = await inspectInside(name, target, ["sbom.json", "debian.txt"], args, settings);
  const found = bill.parse(JSON.parse(inside["sbom.json"]));
  const component = { type: "container", name: image.repository, version: name.slice(name.lastIndexOf(":") + 1) };
  found.metadata = { ...found.metadata, component };
  found.components.push(...debianComponents(inside["debian.txt"]));
  writeFileSync(file, `${JSON.stringify(found, null, 1)}\n`);
  return found.components;
}

function debianComponents(text: string): Components {
  return text
    .trim()
    .split("\n")
    .map((line) => {
      const [name = "", version = "", arch = ""] = line.split(" ");
      const purl = `pkg:deb/debian/${name}@${encodeURIComponent(version)}?arch=${arch}`;
      return { "bom-ref": purl, type: "library", name, version, purl };
    });
}

/** As a requirements file names them; a local part of a version (2.15.0+cpu) is no release of its own. */
function pythonPackages(components: Components): string[] {
  return components
    .filter(({ purl }) => purl?.startsWith("pkg:pypi/"))
    .map(({ name, version }) => `${name}==${version?.split("+")[0]}`);
}

function lines(name: string, components: number, { vulnerabilities, unknown }: Known): string {
  const known = vulnerabilities.map((text) => `  known: ${text}`);
  const verdict =
    unknown !== null
      ? `it is NOT known whether there are vulnerabilities: ${unknown}`
      : `${vulnerabilities.length} known vulnerabilities in packages of PyPI and npm`;
  return [`${name}: ${components} components; ${verdict}`, ...known].join("\n");
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
