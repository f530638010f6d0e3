// The supervisor as a process of its own, started by `./vp up`. Ends everything on SIGTERM or SIGINT.
import { loadSettings } from "./config.ts";
import { vpPaths } from "./paths.ts";
import { planPlatform } from "./platform.ts";
import { Supervisor } from "./supervisor.ts";

const paths = vpPaths(process.argv[2]);
const supervisor = new Supervisor(await planPlatform(loadSettings(), paths), paths);

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.on(signal, () => void supervisor.stop().then(() => process.exit(0)));
}
// The terminal that started us may close; we stay.
process.on("SIGHUP", () => undefined);
await supervisor.start();
process.stdout.write(`supervising, see ${paths.state}\n`);
