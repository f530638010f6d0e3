/** What a script trainer can be told to do: one step after the other, from `config.script`. */
import { z } from "zod";

/** With `attempt` the step is done in that attempt only. */
const step = <Do extends string, Shape extends z.ZodRawShape>(name: Do, shape: Shape) =>
  z.object({ do: z.literal(name), attempt: z.int().optional(), ...shape });

export const ScriptStep = z.discriminatedUnion("do", [
  step("event", { type: z.string(), data: z.record(z.string(), z.unknown()) }),
  /** `count` progress events, one every `every_ms`. */
  step("steps", { count: z.int(), every_ms: z.number() }),
  step("print", { text: z.string() }),
  step("sleep", { ms: z.number() }),
  /** From now on SIGTERM changes nothing. */
  step("ignore_sigterm", {}),
  /** Starts a process in a session of its own that would live for ten minutes; its pid is appended to `file`. */
  step("leave_group", { file: z.string() }),
  step("allocate", { mebibytes: z.int() }),
  /** The same in a child, as a data loader would, and waits for its end. */
  step("child_allocates", { mebibytes: z.int() }),
  /** Prints numbered lines of that many characters. */
  step("print_lines", { count: z.int(), characters: z.int() }),
  /** Prints `reached` or `not reached`. */
  step("connect", { host: z.string(), port: z.int() }),
  /** Writes a file, and prints why it cannot. */
  step("fill", { file: z.string(), mebibytes: z.int() }),
  /** Writes its whole environment as JSON to its standard output. */
  step("print_environment", {}),
  /** The same to a file. */
  step("write_environment", { file: z.string() }),
  step("append", { file: z.string(), text: z.string() }),
  /** RESULT.json and the event `succeeded`. */
  step("succeed", { metrics: z.record(z.string(), z.number()) }),
  step("kill_itself", { signal: z.enum(["SIGKILL", "SIGSEGV", "SIGTERM", "SIGABRT"]) }),
  step("exit", { code: z.int() }),
]);
export type ScriptStep = z.infer<typeof ScriptStep>;
export const Script = z.array(ScriptStep);
