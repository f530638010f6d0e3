/** What the environment tells the command line; the one place that reads it. */
import { homedir } from "node:os";
import { join, resolve } from "node:path";

export interface CliConfig {
  /** VP_SERVER: the gateway's address. */
  server: string | undefined;
  /** VP_NOTIFIER: the notifier's address. */
  notifier: string | undefined;
  /** VP_TOKEN: an API key; wins over any login. */
  token: string | undefined;
  /** Where logins are kept. */
  credentialsFile: string;
  /** The `.vp` folder of this checkout: the platform that `./vp up` runs. */
  laptopFolder: string;
}

/** Empty variables count as not set. */
export function readConfig(environment: Record<string, string | undefined> = process.env): CliConfig {
  const given = (name: string) => environment[name] || undefined;
  const configHome = given("XDG_CONFIG_HOME") ?? join(given("HOME") ?? homedir(), ".config");
  return {
    server: given("VP_SERVER"),
    notifier: given("VP_NOTIFIER"),
    token: given("VP_TOKEN"),
    credentialsFile: join(configHome, "vision-platform", "credentials.json"),
    laptopFolder: resolve(import.meta.dirname, "../../../.vp"),
  };
}
