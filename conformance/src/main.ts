/** `node conformance/src/main.ts <trainer folder> [--core] [--only 201,204] [--task …] [--jobs 2] [--json] [--list]` */
import { parseArgs } from "node:util";
import { conformance } from "./command.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    core: { type: "boolean" },
    list: { type: "boolean" },
    json: { type: "boolean" },
    only: { type: "string" },
    task: { type: "string" },
    jobs: { type: "string" },
  },
});
// Trainers are in sessions of their own: what is left of them ends with our "exit".
for (const [signal, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
  ["SIGHUP", 129],
] as const) {
  process.once(signal, () => process.exit(code));
}
process.exitCode = await conformance(positionals[0] ?? "", values);
