import fc from "fast-check";
import { expect, it } from "vitest";
import { chooseGpus } from "./gpu-choice.ts";

const small = { uuid: "GPU-small", memory_mb: 11_264 };
const large = { uuid: "GPU-large", memory_mb: 24_564 };
const larger = { uuid: "GPU-larger", memory_mb: 81_559 };
const none = new Set<string>();

it("takes the smallest that is large enough", () => {
  expect(chooseGpus({ gpus: 1, min_vram_gb: null }, [larger, small, large], none)).toEqual({ gpu_ids: ["GPU-small"] });
  expect(chooseGpus({ gpus: 1, min_vram_gb: 24 }, [larger, small, large], none)).toEqual({ gpu_ids: ["GPU-large"] });
  expect(chooseGpus({ gpus: 2, min_vram_gb: 20 }, [larger, small, large], none)).toEqual({
    gpu_ids: ["GPU-large", "GPU-larger"],
  });
});

it("says what is missing, and whether waiting can help", () => {
  const offered = [small, large, larger];
  expect(chooseGpus({ gpus: 2, min_vram_gb: 24 }, offered, new Set(["GPU-large"]))).toEqual({
    wants: "2 GPUs with 24 GB",
    has: "1 free",
  });
  expect(chooseGpus({ gpus: 1, min_vram_gb: 100 }, offered, none)).toEqual({
    wants: "a GPU with 100 GB",
    has: "0 in all",
  });
});

it("lets a worker without GPUs train on its processor, unless the job insists on one", () => {
  expect(chooseGpus({ gpus: 1, min_vram_gb: null }, [], none)).toEqual({ gpu_ids: [] });
  expect(chooseGpus({ gpus: 4, min_vram_gb: null }, [], none)).toEqual({ gpu_ids: [] });
  expect(chooseGpus({ gpus: 1, min_vram_gb: 1 }, [], none)).toEqual({ wants: "a GPU with 1 GB", has: "0 in all" });
});

it("never gives a GPU that is busy or too small, and never another number than asked for", () => {
  const gpu = fc.record({ uuid: fc.uuid(), memory_mb: fc.integer({ min: 1_000, max: 90_000 }) });
  const offered = fc.uniqueArray(gpu, { selector: ({ uuid }) => uuid, minLength: 1, maxLength: 10 });
  const demand = fc.record({
    gpus: fc.integer({ min: 1, max: 8 }),
    min_vram_gb: fc.option(fc.integer({ min: 1, max: 80 })),
  });
  fc.assert(
    fc.property(offered, demand, fc.integer({ min: 0, max: 10 }), (all, wanted, count) => {
      const busy = new Set(all.slice(0, count).map(({ uuid }) => uuid));
      const chosen = chooseGpus(wanted, all, busy);
      if (!("gpu_ids" in chosen)) return;
      expect(new Set(chosen.gpu_ids).size).toBe(wanted.gpus);
      for (const uuid of chosen.gpu_ids) {
        expect(busy.has(uuid)).toBe(false);
        const memory_mb = all.find((each) => each.uuid === uuid)?.memory_mb ?? 0;
        expect(memory_mb).toBeGreaterThan((wanted.min_vram_gb ?? 0) * 1024 * 0.93);
      }
    }),
  );
});
