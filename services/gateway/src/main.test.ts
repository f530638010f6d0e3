/** The process itself: start, drain, refuse to start. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { type ApiClient, createApiClient } from "@vision-platform/common/api-client";
import { completeUpload, createDataset, createUpload } from "@vision-platform/contracts/api/datasets";
import { streamJobEvents } from "@vision-platform/contracts/api/jobs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestGateway, type TestGateway } from "./testing.ts";

let test: TestGateway;
const running: ChildProcess[] = [];
beforeAll(async () => {
  test = await startTestGateway({ background: false });
});
afterAll(async () => {
  for (const child of running) child.kill("SIGKILL");
  await test.stop();
});

/** The settings of the test's gateway as a process would be given them. */
function environment(): Record<string, string> {
  const { config } = test.gateway;
  const names = ["DATABASE_URL", "REDIS_URL", "S3_ENDPOINT", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"] as const;
  const more = ["STORAGE_BUCKET", "JWT_SECRET", "INTERNAL_TOKEN", "TRAINERS_DIR"] as const;
  return { PORT: "0", ...Object.fromEntries([...names, ...more].map((name) => [name, config[name]])) };
}

function run(env: Record<string, string>) {
  const child = spawn(process.execPath, [join(import.meta.dirname, "main.ts")], { env });
  running.push(child);
  const output = { stdout: "", stderr: "" };
  child.stdout.on("data", (chunk) => (output.stdout += chunk));
  child.stderr.on("data", (chunk) => (output.stderr += chunk));
  return { child, output, ended: once(child, "exit") };
}

async function portOf({ child, output }: ReturnType<typeof run>): Promise<number> {
  for (;;) {
    const port = /"port":(\d+)/.exec(output.stdout)?.[1];
    if (port) return Number(port);
    await Promise.race([once(child.stdout as NonNullable<typeof child.stdout>, "data"), once(child, "exit")]);
    if (child.exitCode !== null) throw new Error(output.stderr);
  }
}

/** A job whose events can be followed. */
async function ingestJob(user: ApiClient): Promise<number> {
  const project_id = await test.project(user);
  const { id } = await user.call(createDataset, {
    body: { project_id, name: "set", task_type: "image_classification" },
  });
  const params = { dataset_id: id };
  const { upload_id, urls } = await user.call(createUpload, { params, body: { filename: "a.zip", bytes: 22 } });
  await fetch(urls[0]?.url ?? "", { method: "PUT", body: Buffer.alloc(22) });
  return (await user.call(completeUpload, { params: { ...params, upload_id }, body: {} })).job_id;
}

describe("the process", () => {
  it("serves, and on SIGTERM ends its streams and itself with 0", async () => {
    const process = run(environment());
    const url = `http://127.0.0.1:${await portOf(process)}`;
    expect((await fetch(`${url}/health`)).status).toBe(200);
    const user = createApiClient(url, (await test.user()).session.access_token);
    const stream = await user.open(streamJobEvents, { params: { job_id: await ingestJob(user) } });
    process.child.kill("SIGTERM");
    expect((await process.ended)[0]).toBe(0);
    await stream.text().catch(() => "cut off");
    expect(process.output.stdout).toContain('"message":"ended"');
    for (const secret of ["JWT_SECRET", "INTERNAL_TOKEN", "S3_SECRET_ACCESS_KEY"]) {
      expect(process.output.stdout).not.toContain(environment()[secret]);
    }
  });

  it("says what is wrong with its settings in one line each, and exits with 78", async () => {
    const process = run({ ...environment(), PORT: "eighty", JWT_SECRET: "hunter2" });
    expect((await process.ended)[0]).toBe(78);
    expect(process.output.stderr.split("\n").slice(1, 3)).toEqual([
      expect.stringContaining('PORT: found "eighty"; expected'),
      expect.stringContaining("JWT_SECRET: a value of 7 characters was found; expected"),
    ]);
    expect(process.output.stderr).not.toContain("hunter2");
  });
});
