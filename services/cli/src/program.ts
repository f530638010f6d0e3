/** The program behind ./vp. Only the addressed command group is loaded: a person waits for every start. */
import { Command, CommanderError } from "commander";
import { EXIT, EXIT_HELP } from "./exit-codes.ts";

type Register = (program: Command) => void;
interface Group {
  description: string;
  load(): Promise<Register>;
}

const account = async (): Promise<Register> => (await import("./commands/account.ts")).registerAccount;
const platform = async (): Promise<Register> =>
  (await import("@vision-platform/laptop/commands")).registerPlatformCommands;

const GROUPS: Record<string, Group> = {
  projects: {
    description: "projects and their members",
    load: async () => (await import("./commands/projects.ts")).registerProjects,
  },
  datasets: {
    description: "upload images, see what became of them",
    load: async () => (await import("./commands/datasets.ts")).registerDatasets,
  },
  frameworks: {
    description: "what the models are trained with",
    load: async () => (await import("./commands/frameworks.ts")).registerFrameworks,
  },
  workers: {
    description: "the workers, their launchers and GPUs",
    load: async () => (await import("./commands/workers.ts")).registerWorkers,
  },
  models: {
    description: "the models that can be trained",
    load: async () => (await import("./commands/models.ts")).registerModels,
  },
  jobs: {
    description: "submit, watch and manage jobs",
    load: async () => (await import("./commands/jobs.ts")).registerJobs,
  },
};

/** Registers what these arguments need: one group, or everything by name for help and for what is not known. */
async function registerNeeded(program: Command, args: readonly string[]): Promise<void> {
  const words = args.filter((arg) => !arg.startsWith("-"));
  const name = words[0] === "help" ? words[1] : words[0];
  const group = name === undefined ? undefined : GROUPS[name];
  if (group !== undefined && name !== undefined)
    return (await group.load())(program.command(name).description(group.description));
  if (name === "login" || name === "logout" || name === "whoami") return (await account())(program);
  (await platform())(program);
  (await account())(program);
  for (const [other, { description }] of Object.entries(GROUPS)) program.command(other).description(description);
}

/** `vp jobs` is `vp jobs list`. Written out, so that a mistyped subcommand is not taken for an argument of `list`. */
function withDefault(args: readonly string[]): readonly string[] {
  const [name, next] = args;
  const isHelp = args.includes("--help") || args.includes("-h");
  const isBare = name !== undefined && name in GROUPS && (next === undefined || next.startsWith("-")) && !isHelp;
  return isBare ? [name, "list", ...args.slice(1)] : args;
}

/** Runs one command line (without the program's own name); the exit code is in process.exitCode afterwards. */
export async function runProgram(args: readonly string[]): Promise<void> {
  const program = new Command("vp")
    .description("Vision Platform: train vision models on your own machine")
    .version("0.1.0")
    .showHelpAfterError("(see --help)")
    .showSuggestionAfterError()
    .addHelpText("after", `\n${EXIT_HELP}`)
    .exitOverride();
  await registerNeeded(program, args);
  try {
    await program.parseAsync(withDefault(args), { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  }
}
