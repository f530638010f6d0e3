/** Parts against a real HTTP server that fails as storages do, and zips that a reader of zips takes apart again. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { downloadFile, targetPath } from "../commands/jobs-artifacts.ts";
import { partsOf, sendParts } from "./send-parts.ts";
import { filesOf, writeZip } from "./zip-folder.ts";

let folder: string;
let server: Server;
let base: string;
let answer: (path: string, body: Buffer) => number;
const stored = new Map<string, Buffer>();
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vp-cli-"));
  stored.clear();
  answer = () => 200;
  server = createServer(async (request, response) => {
    if (request.method === "GET") return response.end(stored.get(request.url ?? ""));
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    expect(request.headers["content-length"]).toBe(String(body.length));
    response.statusCode = answer(request.url ?? "", body);
    if (response.statusCode === 200) stored.set(request.url ?? "", body);
    response.setHeader("etag", `"${createHash("md5").update(body).digest("hex")}"`);
    return response.end();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(async () => {
  server.close();
  await rm(folder, { recursive: true });
});

const urls = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ part_number: index + 1, url: `${base}/${index + 1}` }));

test("a file arrives in parts, whole, with the ETag of each", async () => {
  const content = Buffer.from(Array.from({ length: 25_000 }, (_, index) => index % 251));
  const path = join(folder, "a.zip");
  await writeFile(path, content);
  let sent = 0;
  const refused = new Set(["/2"]);
  answer = (url) => (refused.delete(url) ? 503 : 200);
  const etags = await sendParts(
    path,
    partsOf({ urls: urls(3), part_size: 10_000 }, content.length),
    (count) => (sent += count),
  );
  expect(Buffer.concat(["/1", "/2", "/3"].map((url) => stored.get(url) ?? Buffer.alloc(0)))).toEqual(content);
  expect(etags.map(({ part_number }) => part_number)).toEqual([1, 2, 3]);
  expect(etags[0]?.etag).toMatch(/^"[0-9a-f]{32}"$/);
  expect(sent).toBe(content.length);
});

test("a refusal that will not pass is told at once", async () => {
  const path = join(folder, "a.zip");
  await writeFile(path, "x".repeat(1000));
  answer = () => 403;
  await expect(sendParts(path, partsOf({ urls: urls(1), part_size: 0 }, 1000), () => undefined)).rejects.toThrow(
    /part 1: .*403/,
  );
});

test("a folder becomes a zip of its files, without links and clutter", async () => {
  const source = join(folder, "flowers");
  await mkdir(join(source, "rose"), { recursive: true });
  await writeFile(join(source, "rose", "1.png"), "image");
  await writeFile(join(source, ".DS_Store"), "clutter");
  await symlink("/etc/hostname", join(source, "rose", "link.png"));
  const { files, links } = await filesOf(source);
  expect(files.map(({ name }) => name)).toEqual(["rose/1.png"]);
  expect(links).toBe(1);
  const zip = join(folder, "flowers.zip");
  await writeZip(files, zip, () => undefined);
  const list = [
    "-c",
    "import sys,zipfile; z=zipfile.ZipFile(sys.argv[1]); print(z.testzip(), z.namelist(), z.read('rose/1.png'))",
    zip,
  ];
  expect((await promisify(execFile)("python3", list)).stdout.trim()).toBe("None ['rose/1.png'] b'image'");
  await expect(filesOf(join(source, "rose", ".."))).resolves.toBeDefined();
  await mkdir(join(folder, "empty"));
  await expect(filesOf(join(folder, "empty"))).rejects.toThrow(/no files/);
});

test("a download is kept only when its hash is right, and only inside the folder", async () => {
  const content = Buffer.from("weights");
  stored.set("/model", content);
  const file = {
    name: "model",
    url: `${base}/model`,
    bytes: content.length,
    sha256: createHash("sha256").update(content).digest("hex"),
  };
  const target = targetPath(join(folder, "job-6"), "export/model");
  await downloadFile(file, target, () => undefined);
  expect(await readFile(target)).toEqual(content);
  const other = targetPath(folder, "other");
  await expect(downloadFile({ ...file, sha256: "0".repeat(64) }, other, () => undefined)).rejects.toThrow(/damaged/);
  await expect(readFile(other)).rejects.toThrow(/ENOENT/);
  for (const name of ["../x", "/etc/passwd", "a/../../x", ""])
    expect(() => targetPath(folder, name)).toThrow(/leads out/);
});
