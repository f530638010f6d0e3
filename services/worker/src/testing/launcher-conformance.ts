/** What every launcher must do, written once. Call it from the test file of a launcher. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { LaunchError, type Launcher, type LaunchSpec, type Trainer } from "../launchers/launcher.ts";
import { MARKER_VARIABLE } from "../launchers/marked-processes.ts";
import { startTime } from "../launchers/process-identity.ts";
import { scriptedLaunch } from "./launch-spec.ts";
import { eventually } from "./platform.ts";
import type { ScriptStep } from "./script.ts";

const FOREVER: ScriptStep = { do: "sleep", ms: 600_000 };
const READY: ScriptStep = { do: "print", text: "ready\n" };

function logOf(spec: LaunchSpec): string {
  return existsSync(spec.logFile) ? readFileSync(spec.logFile, "utf8") : "";
}

async function untilLogged(spec: LaunchSpec, text: string): Promise<void> {
  await eventually(() => (logOf(spec).includes(text) ? true : undefined));
}

/** `create` makes a new launcher, as a restarted worker would have it. */
export function launcherConformance(name: string, create: () => Launcher): void {
  const launched: { launcher: Launcher; trainer: Trainer }[] = [];

  async function launch(script: ScriptStep[], changes: Partial<LaunchSpec> = {}) {
    const launcher = create();
    const spec = scriptedLaunch(script, changes);
    const trainer = await launcher.launch(spec);
    launched.push({ launcher, trainer });
    return { launcher, trainer, spec };
  }

  afterEach(async () => {
    for (const { launcher, trainer } of launched.splice(0)) await launcher.stop(trainer, "SIGKILL");
  });

  describe(name, () => {
    it.each([0, 3, 70])("passes on exit code %i", async (code) => {
      const { launcher, trainer } = await launch([{ do: "exit", code }]);
      expect(await launcher.wait(trainer)).toEqual({ code, signal: null });
    });

    it("passes on the signal that ended a trainer", async () => {
      const { launcher, trainer } = await launch([{ do: "kill_itself", signal: "SIGKILL" }]);
      expect(await launcher.wait(trainer)).toEqual({ code: null, signal: "SIGKILL" });
    });

    it("keeps what the trainer writes, from its first line to its last", async () => {
      const { launcher, trainer, spec } = await launch([
        READY,
        { do: "print", text: "the end" },
        { do: "exit", code: 0 },
      ]);
      await launcher.wait(trainer);
      expect(logOf(spec)).toBe("ready\nthe end");
    });

    it("gives the trainer its own environment and nothing of the worker's", async () => {
      const { launcher, trainer, spec } = await launch([{ do: "write_environment", file: "environment.json" }]);
      await launcher.wait(trainer);
      const seen = JSON.parse(readFileSync(join(spec.directory, "environment.json"), "utf8"));
      expect(seen).toEqual({ ...spec.env, [MARKER_VARIABLE]: spec.marker });
    });

    it("lets the trainer end in its own way on SIGTERM", async () => {
      const { launcher, trainer, spec } = await launch([READY, FOREVER]);
      await untilLogged(spec, "ready");
      await launcher.stop(trainer, "SIGTERM");
      expect(await launcher.wait(trainer)).toEqual({ code: 20, signal: null });
      expect(logOf(spec)).toContain('"type":"stopped"');
    });

    it("kills a trainer that ignores SIGTERM", async () => {
      const { launcher, trainer, spec } = await launch([{ do: "ignore_sigterm" }, READY, FOREVER]);
      await untilLogged(spec, "ready");
      await launcher.stop(trainer, "SIGTERM");
      const stillThere = await Promise.race([launcher.wait(trainer).then(() => false), sleep(300).then(() => true)]);
      expect(stillThere).toBe(true);
      await launcher.stop(trainer, "SIGKILL");
      expect(await launcher.wait(trainer)).toEqual({ code: null, signal: "SIGKILL" });
    });

    it("ends processes that left the trainer's group, also after the trainer itself", async () => {
      const { launcher, trainer, spec } = await launch([
        { do: "leave_group", file: "escaped" },
        { do: "leave_group", file: "escaped" },
        { do: "exit", code: 0 },
      ]);
      await launcher.wait(trainer);
      const escaped = readFileSync(join(spec.directory, "escaped"), "utf8").trim().split("\n").map(Number);
      expect(escaped.map((pid) => startTime(pid) !== null)).toEqual([true, true]);
      await launcher.stop(trainer, "SIGKILL");
      expect(escaped.map(startTime)).toEqual([null, null]);
    });

    it("finds a trainer again after the worker's death, by pid or by marker alone, and ends it", async () => {
      for (const forget of [false, true]) {
        const { trainer, spec } = await launch([READY, FOREVER]);
        await untilLogged(spec, "ready");
        const next = create();
        const recorded = forget ? { marker: spec.marker, pid: null, start_time: null } : trainer.identity;
        const adopted = await next.adopt(recorded);
        if (!adopted) throw new Error("the trainer was not found");
        expect(adopted.identity.pid).toBe(trainer.identity.pid);
        await next.stop(adopted, "SIGKILL");
        await next.wait(adopted);
        expect(await next.adopt(recorded)).toBeNull();
      }
    });

    it("does not take another process with the recorded pid for the trainer", async () => {
      const identity = { marker: "test-of-nobody", pid: process.pid, start_time: "1" };
      expect(await create().adopt(identity)).toBeNull();
    });

    it("says so when the command is not there", async () => {
      const launching = launch([], { command: ["/nowhere/trainer"] });
      await expect(launching).rejects.toThrow(LaunchError);
      await expect(launching).rejects.toMatchObject({ code: "LAUNCH_FAILED" });
    });

    it("may be stopped any number of times", async () => {
      const { launcher, trainer } = await launch([{ do: "exit", code: 0 }]);
      await launcher.wait(trainer);
      await launcher.stop(trainer, "SIGTERM");
      await launcher.stop(trainer, "SIGKILL");
      await launcher.stop(trainer, "SIGKILL");
    });
  });
}
