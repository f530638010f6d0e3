/** The frame around every command: shared options, a session when asked for, errors as words, the exit code. */
import { AppError } from "@vision-platform/common/app-error";
import { continueTrace, type Trace } from "@vision-platform/common/trace";
import type { Command } from "commander";
import { type CliConfig, readConfig } from "../config.ts";
import { failureLines, failureOf } from "../output/failure.ts";
import { Output } from "../output/output.ts";
import type { Session } from "../session/session.ts";

export interface SharedOptions {
  json?: boolean;
  server?: string;
  notifier?: string;
}
export interface Context {
  output: Output;
  config: CliConfig;
  /** Opens the session once; nobody needs to be signed in for that yet. */
  session(): Promise<Session>;
}
type Run<Options> = (context: Context, args: string[], options: Options & SharedOptions) => Promise<number | undefined>;

/** Adds the options that every command takes. */
export function leaf(command: Command): Command {
  return command
    .option("--json", "print NDJSON for programs")
    .option("--server <url>", "the gateway (default: VP_SERVER, the last login, or ./vp up of this checkout)")
    .option("--notifier <url>", "the notifier, for live progress (default: VP_NOTIFIER, or what the login knows)");
}

/** Loaded only now: help, and words that make no sense, need no connection. */
async function open(config: CliConfig, { server, notifier }: SharedOptions, trace: Trace): Promise<Session> {
  const { openSession } = await import("../session/session.ts");
  return openSession(config, { server, notifier }, trace);
}

/** Makes a commander action of `run`; arguments left out are not in `args`. */
export function action<Options extends object = object>(run: Run<Options>) {
  return async (...given: unknown[]): Promise<void> => {
    const command = given.at(-1) as Command;
    const options = command.optsWithGlobals<Options & SharedOptions>();
    const args = given
      .slice(0, -2)
      .flat()
      .filter((one): one is string => typeof one === "string");
    const output = new Output(options.json === true);
    const config = readConfig();
    const trace = continueTrace(undefined);
    let session: Promise<Session> | undefined;
    const context: Context = {
      output,
      config,
      session: () => (session ??= open(config, options, trace)),
    };
    try {
      process.exitCode = (await run(context, args, options)) ?? 0;
    } catch (error) {
      const failure = failureOf(error, error instanceof AppError ? trace.trace_id : undefined);
      output.record({ event: "error", ...failure });
      for (const line of failureLines(failure)) output.note(line);
      process.exitCode = failure.exit_code;
    }
  };
}
