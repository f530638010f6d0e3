import { runProgram } from "./program.ts";

// A reader that goes away (./vp jobs list | head) is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));

await runProgram(process.argv.slice(2));
