/** What people do with a trained model from the command line; the stub stands for the trainer, so that it takes seconds. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type CommandLine, openCommandLine } from "./command-line.ts";
import { digitsZip } from "./digits.ts";
import { Platform, serversFromEnvironment } from "./platform.ts";

/** A PNG of one grey pixel. */
const PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg==";

let platform: Platform;
let admin: CommandLine;
let bob: CommandLine;
beforeAll(async () => {
  platform = await Platform.start({ servers: serversFromEnvironment(), redis_db: 7, frameworks: ["stub", "dataset"] });
  admin = await openCommandLine(platform, "admin");
  bob = await openCommandLine(platform, "bob");
  const zip = await digitsZip(platform.folder);
  const import_ = ["datasets", "import", zip, "--name", "digits", "--format", "image_folder"];
  expect(await bob.vp(import_)).toMatchObject({ code: 0 });
  const submit = ["jobs", "submit", "--model", "stub/walk", "--dataset", "digits", "--epochs", "2", "--watch"];
  const trained = await bob.vp(submit);
  expect(trained, trained.err).toMatchObject({ code: 0 });
  expect(trained.out).toMatch(/epoch 2\/2.*val\/top1 0\.\d+/);
});
afterAll(() => platform?.stop());

it.each([
  ["evaluate", [], /val\/top1 0\.\d+[\s\S]*359 samples of val\nCLASS/],
  ["predict", ["--dataset", "digits", "--checkpoint", "last"], /359 images|339 more images in predictions.jsonl/],
  ["export", ["--config", "parity_samples=8"], /on 8 samples it differs by 0 at most/],
])("%s tells what came out", async (kind, options, words) => {
  const ended = await bob.vp(["jobs", kind, "2", ...options, "--watch"]);
  expect(ended, ended.err).toMatchObject({ code: 0 });
  expect(ended.out).toMatch(words);
});

it("looks at images of one's own", async () => {
  const image = join(platform.folder, "my cat (1).png");
  writeFileSync(image, Buffer.from(PIXEL, "base64"));
  const ended = await bob.vp(["jobs", "predict", "2", "--image", image, image, "--watch"]);
  expect(ended, ended.err).toMatchObject({ code: 0 });
  expect(ended.out.match(/^my_cat__1_\.png: \d 0\.\d+/gm)).toHaveLength(2);
});

it("puts weights into the store for administrators, and tells what is on", async () => {
  const file = join(platform.folder, "walk.safetensors");
  writeFileSync(file, "weights");
  const add = ["models", "add-weights", "stub", "walk", file];
  const added = await admin.vp(add);
  expect(added, added.err).toMatchObject({ code: 0 });
  expect(added.out).toContain(`s3://${platform.bucket}/weights/stub/walk.safetensors`);
  expect(await bob.vp(add)).toMatchObject({ code: 4, err: expect.stringContaining("Only administrators") });
  expect((await bob.vp(["frameworks"])).out).toMatch(/stub +on +1/);
  expect((await bob.vp(["workers"])).out).toMatch(/stub +subprocess +\d\/1 .*TRAINING_EXECUTION_MODE=subprocess/);
});

it.each<[string[], number, RegExp]>([
  [["jobs", "evaluate", "1"], 2, /no training but of kind ingest/],
  [["jobs", "evaluate", "2", "--config", "spilt=val"], 2, /config\/spilt: unknown setting/],
  [["jobs", "evaluate", "2", "--checkpoint", "first"], 2, /best, last/],
  [["jobs", "predict", "2", "--image", "/nowhere.png"], 2, /nowhere.png is not there/],
  [["jobs", "predict", "2", "--image", "a.png", "--dataset", "digits"], 2, /not both/],
  [["jobs", "export", "999999"], 2, /Training job not found/],
  [["jobs", "submit", "--model", "stub/walk", "--dataset", "digits", "--gpus", "2"], 2, /one GPU only/],
  [["models", "list", "--all"], 2, /--all needs --framework/],
  [["models", "add-weights", "stub", "walk", "x.onnx"], 2, /ends in .safetensors/],
  [["datasets", "import", ".", "--format", "rar"], 2, /image_folder/],
])("refuses %j with exit code %i and one clear sentence", async (args, code, words) => {
  const ended = await bob.vp(args);
  expect(ended.err + ended.out).toMatch(words);
  expect(ended.code).toBe(code);
  expect(ended.err).not.toContain("    at ");
});
