/** `./vp images report`: what each image weighs, on the disk and when it is pulled, and what it adds to what it starts from. */
import { writeFileSync } from "node:fs";
import { platform, release } from "node:os";
import type { ImageSettings } from "./config.ts";
import { reference } from "./images-build.ts";
import { docker, type ImageFacts, imageFacts, searchFiles } from "./images-docker.ts";
import { packedLayers } from "./images-layers.ts";
import type { Image } from "./images-plan.ts";

type Row = {
  image: string;
  /** Bytes on the disk; a layer that several images share counts in each. */
  size: number;
  /** Bytes over the image it starts from; the layer is torch, base, or nothing. */
  added: number;
  over: string;
  /** Compressed bytes that a host fetches which has nothing yet, and one which has what it starts from; null: not measured. */
  pull: number | null;
  pull_added: number | null;
  layers: number;
};

/** The goals of the images, in MB of 1,000,000 bytes. */
const GOALS = { base: 500, added: 700 };

/**
 * Measures built images and prints a table; `output` also writes it as a Markdown file.
 * @returns 0, or 1 when a goal is missed.
 */
export async function report(
  chosen: Image[],
  settings: ImageSettings,
  { json = false, output, pull = false }: { json?: boolean; output?: string; pull?: boolean },
): Promise<number> {
  const facts = new Map<string, ImageFacts>();
  for (const image of chosen) facts.set(image.name, await imageFacts(reference(image, settings), image.name));
  const packed = await packedLayers(
    chosen.map((image) => reference(image, settings)),
    pull,
  );
  const rows = chosen.map((image) => rowOf(image, facts, packed));
  const missed = rows.filter(
    (row) =>
      (row.image === "base" && row.size > GOALS.base * 1e6) || (row.over === "torch" && row.added > GOALS.added * 1e6),
  );
  if (json) for (const row of rows) process.stdout.write(`${JSON.stringify({ event: "image_size", ...row })}\n`);
  const torch = chosen.find(({ name }) => name === "torch");
  const text = `${[table(rows), ...(torch ? [await vendorTable(reference(torch, settings))] : [])].join("\n")}`;
  if (!json) process.stdout.write(text);
  if (output) writeFileSync(output, `${await heading()}${text}`);
  return missed.length === 0 ? 0 : 1;
}

function rowOf(image: Image, facts: Map<string, ImageFacts>, packed: Map<string, number>): Row {
  const { Size, RootFS } = must(facts.get(image.name), image.name);
  const over =
    image.args.TRAINER_PARENT === "torch-layers" ? "torch" : image.framework || image.name === "torch" ? "base" : "";
  const parent = facts.get(over);
  const below = new Set(parent?.RootFS.Layers);
  const bytes = (layers: string[]) =>
    layers.every((layer) => packed.has(layer))
      ? layers.reduce((sum, layer) => sum + (packed.get(layer) ?? 0), 0)
      : null;
  return {
    image: image.name,
    size: Size,
    added: parent ? Size - parent.Size : Size,
    over: parent ? over : "",
    pull: bytes(RootFS.Layers),
    pull_added: bytes(RootFS.Layers.filter((layer) => !below.has(layer))),
    layers: RootFS.Layers.length,
  };
}

function must<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new Error(`nothing is known of ${name}`);
  return value;
}

function mb(bytes: number | null): string {
  return bytes === null ? "–" : Math.round(bytes / 1e6).toLocaleString("en");
}

function table(rows: Row[]): string {
  const lines = rows.map((row) =>
    [row.image, mb(row.size), row.over, mb(row.added), mb(row.pull), mb(row.pull_added), row.layers].join(" | "),
  );
  return [
    "| Image | Size, MB | Starts from | Adds, MB | Pull, MB | Pull when that is there, MB | Layers |",
    "|---|---|---|---|---|---|---|",
    ...lines.map((line) => `| ${line} |`),
    "",
    "Size is on the disk; pull is what gzip (level 6) makes of the layers, as registries send them (`--pull` measures it).",
    `Goals: base ≤ ${GOALS.base} MB, a framework adds ≤ ${GOALS.added} MB to torch.`,
    "",
  ].join("\n");
}

/** What CUDA costs: NVIDIA's own packages, triton, and torch's libraries for GPUs, as they lie in the torch layer. */
async function vendorTable(name: string): Promise<string> {
  const packages = "/opt/trainer/lib/python*/site-packages";
  const script = [
    `cd ${packages} && for d in nvidia/* cuda triton; do [ -d $d ] && echo "$(du -sk $d | cut -f1) $d"; done`,
    `find torch/lib -name '*cuda*' -o -name '*nvshmem*' -o -name '*c10_cuda*' | xargs du -ck | tail -n 1 | sed 's/total/torch, its CUDA libraries/'`,
    `echo "$(du -sk torch | cut -f1) torch, all of it"`,
    `echo "$(du -sk . | cut -f1) everything installed"`,
  ];
  const lines = (await searchFiles(name, script.join(" && "))).trim().split("\n");
  const sizes = lines.map((line) => {
    const [kib = "0", ...what] = line.trim().split(/\s+/);
    return { what: what.join(" "), bytes: Number(kib) * 1024 };
  });
  const vendor = sizes.filter(({ what }) => /^(nvidia|cuda|triton)/.test(what) || what.includes("CUDA"));
  const sum = vendor.reduce((total, { bytes }) => total + bytes, 0);
  const all = sizes.at(-1)?.bytes ?? 0;
  return [
    "",
    "| In the torch layer | MB |",
    "|---|---|",
    ...sizes.filter(({ bytes }) => bytes > 5e6).map(({ what, bytes }) => `| ${what} | ${mb(bytes)} |`),
    `| **for GPUs only** (NVIDIA's packages, triton, torch's CUDA libraries) | **${mb(sum)}** |`,
    `| **without these: about what the CPU variant installs** | **${mb(all - sum)}** |`,
    "",
  ].join("\n");
}

async function heading(): Promise<string> {
  const version = (await docker(["version", "--format", "{{.Server.Version}}"])).trim();
  const day = new Date().toISOString().slice(0, 10);
  return `# Container images, ${day}\n\nWritten by \`./vp images report\`; Docker ${version} on ${platform()} ${release()}.\n\n`;
}
