/** How far a pull is, from the engine's messages about its layers. */
import { z } from "zod";

const Line = z.object({
  id: z.string().optional(),
  status: z.string().optional(),
  error: z.string().optional(),
  progressDetail: z.object({ current: z.number().optional(), total: z.number().optional() }).optional(),
});

/** `total` is null until the engine says how large the layer is. In bytes. */
interface Layer {
  current: number;
  total: number | null;
}

export interface PullProgress {
  /** A line of the engine's answer. Throws what the engine says went wrong. */
  take(line: string): void;
  /**
   * 0 to 100 of the bytes to download, and never less than before; null while the size of any layer is unknown. The
   * engine downloads a few layers at a time and tells a size only then: a share of those known so far would be 100 as
   * soon as the first small one is there.
   */
  pct(): number | null;
}

export function createPullProgress(): PullProgress {
  const layers = new Map<string, Layer>();
  let told = 0;
  return {
    take(line) {
      if (line.trim() === "") return;
      const { id, status, error, progressDetail } = Line.parse(JSON.parse(line));
      if (error !== undefined) throw new Error(error);
      if (id === undefined) return;
      const layer = layers.get(id) ?? { current: 0, total: null };
      switch (status) {
        case "Pulling fs layer":
        case "Waiting":
          break;
        // Unpacking counts the same bytes a second time: only the way over the network is shown.
        case "Downloading":
          layer.total = progressDetail?.total || layer.total;
          // The engine has yet to check the last byte, and may begin again.
          layer.current = Math.min(progressDetail?.current ?? 0, Math.max(0, (layer.total ?? 0) - 1));
          break;
        // Nothing of it is to come; the smallest are here before their size was worth a message.
        case "Already exists":
        case "Download complete":
        case "Pull complete":
          layer.total ??= 0;
          layer.current = layer.total;
          break;
        default:
          return;
      }
      layers.set(id, layer);
    },
    pct() {
      let [current, total] = [0, 0];
      for (const layer of layers.values()) {
        if (layer.total === null) return null;
        current += layer.current;
        total += layer.total;
      }
      if (total === 0) return null;
      told = Math.max(told, Math.min(100, Math.floor((100 * current) / total)));
      return told;
    },
  };
}
