/** How far a pull is, from the engine's messages about its layers. */
import { z } from "zod";

const Line = z.object({
  id: z.string().optional(),
  status: z.string().optional(),
  error: z.string().optional(),
  progressDetail: z.object({ current: z.number().optional(), total: z.number().optional() }).optional(),
});

interface Layer {
  current: number;
  total: number;
}

export interface PullProgress {
  /** A line of the engine's answer. Throws what the engine says went wrong. */
  take(line: string): void;
  /** 0 to 100 of the bytes known so far; null before any size is known. */
  pct(): number | null;
}

export function createPullProgress(): PullProgress {
  const layers = new Map<string, Layer>();
  return {
    take(line) {
      if (line.trim() === "") return;
      const { id, status, error, progressDetail } = Line.parse(JSON.parse(line));
      if (error !== undefined) throw new Error(error);
      const layer = id === undefined ? undefined : layers.get(id);
      // Unpacking counts the same bytes a second time: only the way over the network is shown.
      if (id !== undefined && status === "Downloading" && progressDetail?.total) {
        layers.set(id, { current: progressDetail.current ?? 0, total: progressDetail.total });
      } else if (layer && (status === "Download complete" || status === "Pull complete")) {
        layer.current = layer.total;
      }
    },
    pct() {
      const sum = (key: keyof Layer) => [...layers.values()].reduce((total, layer) => total + layer[key], 0);
      const total = sum("total");
      return total === 0 ? null : Math.min(100, Math.floor((100 * sum("current")) / total));
    },
  };
}
