/** What every launcher must do, written once. Call it from the test file of a launcher. */
import { existsSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { type Exit, LaunchError, type Launcher, type LaunchSpec, type Trainer } from "../launchers/launcher.ts";
import { launchDirectory, scriptedLaunch } from "./launch-spec.ts";
import { eventually } from "./platform.ts";
import type { ScriptStep } from "./script.ts";

const FOREVER: ScriptStep = { do: "sleep", ms: 600_000 };
const READY: ScriptStep = { do: "print", text: "ready\n" };

export interface LauncherUnderTest {
  /** A new launcher, as a restarted worker would have it. */
  create: () => Launcher;
  /** What a launch of the script trainer needs here: an image that holds it, a command that finds it. */
  adjust?: (spec: LaunchSpec) => LaunchSpec;
  /** How long a trainer may take until it says its first word, in ms. */
  limitMs?: number;
}

function logOf({ directory }: Pick<LaunchSpec, "directory">): string {
  return existsSync(directory.log) ? readFileSync(directory.log, "utf8") : "";
}

/** A container's runtime tells a signal as 128 and its number. */
function wasKilled({ code, signal }: Exit): boolean {
  return signal === "SIGKILL" || code === 137;
}

export function launcherConformance(
  name: string,
  { create, adjust = (spec) => spec, limitMs = 20_000 }: LauncherUnderTest,
): void {
  const launched: { launcher: Launcher; trainer: Trainer }[] = [];

  async function start(launcher: Launcher, spec: LaunchSpec): Promise<Trainer> {
    const trainer = await launcher.launch(spec);
    launched.push({ launcher, trainer });
    return trainer;
  }

  async function launch(script: ScriptStep[], changes: Partial<LaunchSpec> = {}) {
    const launcher = create();
    const spec = { ...adjust(scriptedLaunch(script, launcher.surroundings)), ...changes };
    return { launcher, trainer: await start(launcher, spec), spec };
  }

  async function untilLogged(spec: Pick<LaunchSpec, "directory">, text: string): Promise<void> {
    await eventually(() => (logOf(spec).includes(text) ? true : undefined), limitMs);
  }

  afterEach(async () => {
    for (const { launcher, trainer } of launched.splice(0)) {
      await launcher.stop(trainer, "SIGKILL");
      await launcher.remove(trainer);
    }
  }, 60_000);

  describe(name, { timeout: 30_000 + 2 * limitMs }, () => {
    it.each([0, 3, 70])("passes on exit code %i", async (code) => {
      const { launcher, trainer } = await launch([{ do: "exit", code }]);
      expect(await launcher.wait(trainer)).toMatchObject({ code, signal: null });
    });

    it("passes on the signal that ended a trainer", async () => {
      const { launcher, trainer } = await launch([{ do: "kill_itself", signal: "SIGKILL" }]);
      expect(await launcher.wait(trainer)).toSatisfy(wasKilled);
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
      process.env.SECRET_OF_THE_WORKER = "must not be seen";
      const { launcher, trainer, spec } = await launch([{ do: "print_environment" }]);
      await launcher.wait(trainer);
      expect(JSON.parse(logOf(spec))).toMatchObject(spec.env);
      expect(logOf(spec)).not.toContain("SECRET_OF_THE_WORKER");
    });

    it("lets the trainer end in its own way on SIGTERM", async () => {
      const { launcher, trainer, spec } = await launch([READY, FOREVER]);
      await untilLogged(spec, "ready");
      await launcher.stop(trainer, "SIGTERM");
      expect(await launcher.wait(trainer)).toMatchObject({ code: 20, signal: null });
      expect(logOf(spec)).toContain('"type":"stopped"');
    });

    it("kills a trainer that ignores SIGTERM", async () => {
      const { launcher, trainer, spec } = await launch([{ do: "ignore_sigterm" }, READY, FOREVER]);
      await untilLogged(spec, "ready");
      await launcher.stop(trainer, "SIGTERM");
      const stillThere = await Promise.race([launcher.wait(trainer).then(() => false), sleep(300).then(() => true)]);
      expect(stillThere).toBe(true);
      await launcher.stop(trainer, "SIGKILL");
      expect(await launcher.wait(trainer)).toSatisfy(wasKilled);
    });

    it("finds a trainer again after the worker's death, by handle or by marker alone, and ends it", async () => {
      for (const forget of [false, true]) {
        const { trainer, spec } = await launch([READY, FOREVER]);
        await untilLogged(spec, "ready");
        const next = create();
        const recorded = forget ? { marker: spec.marker, handle: null } : trainer.identity;
        const adopted = await next.adopt(trainer.ids, recorded, spec.directory);
        if (!adopted) throw new Error("the trainer was not found");
        expect(adopted).toMatchObject({ ids: trainer.ids, identity: trainer.identity });
        await next.stop(adopted, "SIGKILL");
        await next.wait(adopted);
        await next.remove(adopted);
        expect(await next.adopt(trainer.ids, recorded, spec.directory)).toBeNull();
      }
    });

    it("does not take anything else with the recorded handle for the trainer", async () => {
      const identity = { marker: "of-nobody", handle: `${process.pid}:1` };
      const ids = { job_id: 1, attempt: 1 };
      expect(await create().adopt(ids, identity, launchDirectory(ids))).toBeNull();
    });

    it("says so when the command is not there", async () => {
      const launching = launch([], { command: ["/nowhere/trainer"] });
      await expect(launching).rejects.toThrow(LaunchError);
      await expect(launching).rejects.toMatchObject({ code: "LAUNCH_FAILED" });
    });

    it("may be stopped and removed any number of times", async () => {
      const { launcher, trainer } = await launch([{ do: "exit", code: 0 }]);
      await launcher.wait(trainer);
      await launcher.stop(trainer, "SIGTERM");
      await launcher.stop(trainer, "SIGKILL");
      await launcher.stop(trainer, "SIGKILL");
      await launcher.remove(trainer);
      await launcher.remove(trainer);
    });

    describe.runIf(create().outlivesWorker)("outlives its worker", () => {
      it("finds what it launched, until that is removed", async () => {
        const { trainer, spec } = await launch([READY, FOREVER]);
        await untilLogged(spec, "ready");
        const mine = async () => (await create().find()).filter(({ job_id }) => job_id === spec.job_id);
        expect(await mine()).toEqual([{ ...trainer.ids, identity: trainer.identity }]);
        const next = create();
        await next.stop(trainer, "SIGKILL");
        await next.remove(trainer);
        expect(await mine()).toEqual([]);
      });

      it("launches an attempt once, whoever asks again", async () => {
        const { trainer, spec } = await launch([READY, FOREVER]);
        await untilLogged(spec, "ready");
        const again = { ...spec, marker: `${spec.marker}-again`, directory: launchDirectory(spec) };
        const second = await start(create(), again);
        expect(second.identity).toEqual(trainer.identity);
        await untilLogged(again, "ready");
        expect(logOf(again).match(/ready/g)).toHaveLength(1);
      });

      it("tells how a trainer ended that nobody watched, and gives its whole log again", async () => {
        const { launcher, trainer, spec } = await launch([READY, { do: "exit", code: 3 }]);
        await launcher.wait(trainer);
        const next = create();
        const directory = launchDirectory(spec);
        const adopted = await next.adopt(trainer.ids, trainer.identity, directory);
        if (!adopted) throw new Error("the trainer was not found");
        expect(await next.wait(adopted)).toMatchObject({ code: 3, signal: null });
        expect(logOf({ directory })).toBe("ready\n");
      });

      it("starts nothing once nobody wants it any more", async () => {
        const launcher = create();
        const unwanted = AbortSignal.abort();
        const spec = { ...adjust(scriptedLaunch([READY, FOREVER], launcher.surroundings)), signal: unwanted };
        await expect(start(launcher, spec)).rejects.toThrow();
        expect((await launcher.find()).filter(({ job_id }) => job_id === spec.job_id)).toEqual([]);
      });
    });
  });
}
