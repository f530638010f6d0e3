/** Bytes on their way: a bar on a terminal, a line every few seconds without one, nothing with --json. */
import cliProgress from "cli-progress";
import { bytes } from "./format.ts";
import type { Output } from "./output.ts";

export interface TransferBar {
  /** So many more bytes are through; negative when a part begins again. */
  add(count: number): void;
  end(): void;
}

const LINE_EVERY_MS = 5_000;

export function createTransferBar(output: Output, what: string, total: number): TransferBar {
  let done = 0;
  if (!output.isLive) {
    let lastLine = Date.now();
    return {
      add(count) {
        done += count;
        if (Date.now() - lastLine < LINE_EVERY_MS) return;
        lastLine = Date.now();
        output.note(`${what}: ${bytes(done)} of ${bytes(total)}`);
      },
      end: () => undefined,
    };
  }
  const began = Date.now();
  const bar = new cliProgress.SingleBar(
    {
      format: `${what} {bar} {percent} %  {text}`,
      barsize: 24,
      hideCursor: true,
      clearOnComplete: true,
      forceRedraw: true,
      fps: 8,
    },
    cliProgress.Presets.shades_classic,
  );
  const text = () =>
    `${bytes(done)} of ${bytes(total)}  ${bytes(Math.round((done * 1000) / Math.max(1, Date.now() - began)))}/s`;
  const percent = () => Math.min(100, Math.floor((done * 100) / Math.max(1, total)));
  bar.start(100, 0, { text: text(), percent: 0 });
  return {
    add(count) {
      done += count;
      bar.update(percent(), { text: text(), percent: percent() });
    },
    end: () => bar.stop(),
  };
}
