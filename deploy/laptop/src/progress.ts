import { Presets, SingleBar } from "cli-progress";

/** Shows long work to a person or a program: a bar on a terminal, plain lines without one, NDJSON with --json. */
export type Progress = {
  /**
   * Runs one step and shows it while it lasts.
   * @param name what is done, as people say it.
   * @param work gets `detail`, which shows the newest line of what the step is at.
   */
  run<T>(name: string, work: (detail: (text: string) => void) => Promise<T>): Promise<T>;
  /** Ends the display; what follows is printed below it. */
  end(): void;
};

/** How to show: --json wins, then whether stderr is a terminal. */
export type ProgressMode = "bar" | "plain" | "json" | "silent";

/** @param steps how many steps will be run; only the bar needs it. */
export function createProgress(mode: ProgressMode, steps: number): Progress {
  if (mode === "bar") return barProgress(steps);
  if (mode === "plain") return lineProgress((line) => process.stderr.write(`${line.text}\n`));
  if (mode === "json") return lineProgress((line) => process.stdout.write(`${JSON.stringify(line)}\n`));
  return { run: (_name, work) => work(() => undefined), end: () => undefined };
}

/** The mode for a command that may have been given --json. */
export function progressMode(json: boolean): ProgressMode {
  if (json) return "json";
  return process.stderr.isTTY ? "bar" : "plain";
}

type Line = { event: "step"; step: string; status: "started" | "done" | "failed"; seconds: number; text: string };

function lineProgress(print: (line: Line) => void): Progress {
  return {
    end: () => undefined,
    run: async (step, work) => {
      const began = Date.now();
      const seconds = () => Math.round((Date.now() - began) / 100) / 10;
      // What is done at once is told once; only what takes long also tells that it has begun.
      const starting = setTimeout(
        () => print({ event: "step", step, status: "started", seconds: 0, text: `${step} …` }),
        1_000,
      );
      try {
        const result = await work(() => undefined);
        const text = `${step}: done in ${seconds()} s`;
        if (seconds() >= 0.1) print({ event: "step", step, status: "done", seconds: seconds(), text });
        return result;
      } catch (error) {
        print({ event: "step", step, status: "failed", seconds: seconds(), text: `${step}: failed` });
        throw error;
      } finally {
        clearTimeout(starting);
      }
    },
  };
}

function barProgress(steps: number): Progress {
  const running = new Map<string, string>();
  const bar = new SingleBar(
    {
      format: "{bar} {value}/{total} {elapsed} s  {now}",
      barsize: 20,
      hideCursor: true,
      clearOnComplete: true,
      stream: process.stderr,
      forceRedraw: true,
    },
    Presets.shades_classic,
  );
  const began = Date.now();
  let finished = 0;
  const draw = () => {
    const now = [...running].map(([name, detail]) => (detail ? `${name}: ${detail}` : name)).join(" · ");
    const width = Math.max(10, (process.stderr.columns ?? 80) - 40);
    bar.update(finished, { now: now.slice(0, width), elapsed: Math.round((Date.now() - began) / 1000) });
  };
  bar.start(steps, 0, { now: "", elapsed: 0 });
  const ticking = setInterval(draw, 250);
  ticking.unref();
  return {
    end: () => {
      clearInterval(ticking);
      bar.stop();
    },
    run: async (name, work) => {
      running.set(name, "");
      draw();
      try {
        return await work((detail) => running.set(name, detail));
      } finally {
        running.delete(name);
        finished += 1;
        draw();
      }
    },
  };
}
