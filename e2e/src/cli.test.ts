import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type CommandLine, openCommandLine, records } from "./command-line.ts";
import { digitsZip } from "./digits.ts";
import { Platform, serversFromEnvironment } from "./platform.ts";

let platform: Platform;
let ann: CommandLine;
const vp = (args: string[]) => ann.vp(args);

beforeAll(async () => {
  platform = await Platform.start({ servers: serversFromEnvironment(), redis_db: 9 });
  ann = await openCommandLine(platform, "ann");
});
afterAll(() => platform?.stop());

const digits = ["--model", "test_resnet", "--dataset", "digits", "--batch-size", "64", "--lr", "0.01"];

describe("the command line", () => {
  it("trains a zip of one's own images with three commands, and fetches the model", async () => {
    const zip = await digitsZip(platform.folder);
    const imported = await vp(["datasets", "import", zip, "--name", "digits"]);
    expect(imported, imported.err).toMatchObject({ code: 0 });
    expect(imported.out + imported.err).toMatch(/1,?797/);

    const trained = await vp(["jobs", "submit", ...digits, "--epochs", "3", "--watch"]);
    expect(trained, trained.out + trained.err).toMatchObject({ code: 0 });
    expect(trained.out).toContain("SUCCEEDED");
    expect(trained.out).toMatch(/accuracy|top-?1/i);

    const [shown] = records((await vp(["jobs", "list", "--json"])).out);
    expect(shown).toMatchObject({ state: "SUCCEEDED", model_name: "test_resnet" });
    const target = join(platform.folder, "download");
    expect(await vp(["jobs", "download", String(shown.id), "--output", target, "model.safetensors"])).toMatchObject({
      code: 0,
    });
    expect(statSync(join(target, "model.safetensors")).size).toBeGreaterThan(100_000);
    expect((await vp(["jobs", "logs", String(shown.id)])).code).toBe(0);
    expect((await vp(["jobs", "artifacts", String(shown.id)])).out).toContain("model.safetensors");
  });

  it("watches on while the notifier and the gateway are restarted", async () => {
    const watching = ann.start(["jobs", "submit", ...digits, "--epochs", "10", "--watch", "--json"]);
    const seen = (type: string) => watching.said.out.includes(`"${type}"`);
    await vi.waitFor(() => expect(seen("progress")).toBe(true), { timeout: 60_000 });
    for (const name of ["notifier", "gateway"] as const) {
      await platform.end(name, "SIGKILL");
      await platform.launch(name);
    }
    const ended = await watching.ended;
    expect(ended, ended.err).toMatchObject({ code: 0 });
    const seqs = records(ended.out).flatMap((line) => (typeof line.seq === "number" ? [line.seq] : []));
    expect(seqs).toEqual(seqs.map((_, index) => index + 1));
  });

  it("leaves a job running on Ctrl-C and says how to come back; a cancelled job has an exit code of its own", async () => {
    const watching = ann.start(["jobs", "submit", ...digits, "--epochs", "500", "--watch"]);
    await vi.waitFor(() => expect(watching.said.out).toMatch(/epoch/i), { timeout: 60_000 });
    watching.child.kill("SIGINT");
    const left = await watching.ended;
    expect(left.code).toBe(130);
    const id = /jobs watch (\d+)/.exec(left.out + left.err)?.[1] ?? "";
    expect(records((await vp(["jobs", "show", id, "--json"])).out)[0]).toMatchObject({ state: "RUNNING" });
    const again = ann.start(["jobs", "watch", id]);
    expect(await vp(["jobs", "cancel", id])).toMatchObject({ code: 0 });
    expect((await again.ended).code).toBe(3);
  });

  it.each<[string[], number, RegExp]>([
    [["jobs", "show", "999999"], 2, /Training job not found/],
    [["jobs", "submit", ...digits.with(1, "resnet-9000"), "--epochs", "3"], 2, /resnet-9000/],
    [["jobs", "submit", ...digits, "--epochs", "0"], 2, /epochs/],
    [["jobs", "submit", ...digits, "--epochs", "1", "--config", "label_smoothing=7"], 2, /label_smoothing/],
    [["datasets", "import", "/nowhere/flowers", "--name", "flowers"], 2, /nowhere/],
    [["jobs", "explode"], 2, /explode/],
  ])("refuses %j with exit code %i and one clear sentence", async (args, code, words) => {
    const ended = await vp(args);
    expect(ended.err + ended.out).toMatch(words);
    expect(ended.code).toBe(code);
    expect(ended.err).not.toContain("    at ");
  });

  it("keeps the login to the user, and has none without it", async () => {
    const file = join(ann.home, ".config/vision-platform/credentials.json");
    expect(existsSync(file) && statSync(file).mode & 0o777).toBe(0o600);
    expect((await vp(["whoami"])).out).toContain("ann@example.com");
    expect(await vp(["logout"])).toMatchObject({ code: 0 });
    expect((await vp(["whoami"])).code).toBe(4);
  });
});
