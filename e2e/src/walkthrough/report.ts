/** Tells what a walk-through does, step by step: for people with ticks, for programs as NDJSON. */

export interface Report {
  /** Runs one step, tells how it went, and resolves or rejects as the step does. `remark` is said of its result. */
  step<Result>(name: string, work: () => Promise<Result>, remark?: (result: Result) => string): Promise<Result>;
  /** A line in between. */
  say(text: string): void;
  /** Prints `N passed, N failed` as the last line and answers with the exit code. */
  end(): number;
}

/** @param event what its lines of JSON are called */
export function createReport(event: string, json: boolean): Report {
  let passed = 0;
  let failed = 0;
  const write = (text: string, told: object) =>
    process.stdout.write(`${json ? JSON.stringify({ event, ...told }) : text}\n`);

  return {
    async step(name, work, remark) {
      const began = Date.now();
      const elapsed = () => Math.round((Date.now() - began) / 100) / 10;
      try {
        const result = await work();
        passed += 1;
        const said = remark?.(result) ?? "";
        const seconds = elapsed();
        write(`✓ ${name} (${seconds} s)${said ? `\n    ${said}` : ""}`, { name, ok: true, seconds, remark: said });
        return result;
      } catch (error) {
        failed += 1;
        const message = error instanceof Error ? error.message : String(error);
        write(`✗ ${name} (${elapsed()} s)\n${message}`, { name, ok: false, seconds: elapsed(), message });
        throw error;
      }
    },
    say: (text) => void write(text, { text }),
    end() {
      write(`${passed} passed, ${failed} failed`, { passed, failed });
      return failed > 0 || passed === 0 ? 1 : 0;
    },
  };
}
