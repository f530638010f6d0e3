/** What this machine's Docker engine is asked without the docker command, which not everybody has who has an engine. */
import { request } from "node:http";
import { SOURCE_LABEL } from "@vision-platform/common/trainer-source";
import { z } from "zod";

const ENGINE_SOCKET = "/var/run/docker.sock";
const ASK_LIMIT_MS = 2_000;

/** Somebody answered, but not with 200. */
class Refused extends Error {
  readonly status: number | undefined;

  constructor(status: number | undefined, text: string) {
    super(`HTTP ${status}: ${text.slice(0, 200)}`);
    this.status = status;
  }
}

/** Answers with the body; rejects when nobody listens there, or the answer is no 200. */
export function ask(socketPath: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path, timeout: ASK_LIMIT_MS }, async (response) => {
      let text = "";
      for await (const chunk of response.setEncoding("utf8")) text += chunk;
      if (response.statusCode === 200) resolve(text);
      else reject(new Refused(response.statusCode, text));
    });
    asked.on("timeout", () => asked.destroy(new Error("no answer in time")));
    asked.on("error", reject);
    asked.end();
  });
}

/** Whether trainers can run in containers here: an engine of this machine itself, whose networks this process sees. */
export async function engineAnswers(): Promise<boolean> {
  if (process.platform !== "linux") return false;
  return await ask(ENGINE_SOCKET, "/_ping").then(
    () => true,
    () => false,
  );
}

const labelled = z.object({ Config: z.object({ Labels: z.record(z.string(), z.string()).nullish() }) });

/** The hash of the sources that an image says it was built from, empty when it does not say; null for no such image. */
export async function imageSource(reference: string): Promise<string | null> {
  try {
    const { Config } = labelled.parse(JSON.parse(await ask(ENGINE_SOCKET, `/images/${reference}/json`)));
    return Config.Labels?.[SOURCE_LABEL] ?? "";
  } catch (error) {
    if (error instanceof Refused && error.status === 404) return null;
    throw error;
  }
}
