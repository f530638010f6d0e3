import { execFileSync } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { dirname, resolve } from "node:path";

/** Postgres refuses to run as root; then it runs as this user. */
export type ServerUser = { uid: number; gid: number };

/** Null when this process is not root: servers then simply run as the person who starts them. */
export function serverUser(dataDir: string): ServerUser | null {
  if (process.getuid?.() !== 0) return null;
  if (process.platform !== "linux") {
    throw new Error("Postgres does not run as root: start ./vp as an ordinary user, or set DATABASE_URL");
  }
  // A cluster made earlier keeps its owner, whatever users the machine has got since.
  const owner = statSync(dataDir, { throwIfNoEntry: false });
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid };
  for (const name of ["postgres", "nobody"]) {
    try {
      const id = (flag: string) => Number(execFileSync("id", [flag, name], { encoding: "utf8", stdio: "pipe" }).trim());
      return { uid: id("-u"), gid: id("-g") };
    } catch {
      // No such user: the next one.
    }
  }
  throw new Error(
    "Postgres does not run as root and there is no user postgres or nobody: start ./vp as an ordinary user",
  );
}

/**
 * Wraps a command so that it runs as the user. Folders above `paths` that the user may not enter (a checkout in /root)
 * are opened to this one process by the capability DAC_OVERRIDE, not by changing the folders.
 */
export function asUser(user: ServerUser | null, paths: string[], command: string, args: string[]): [string, string[]] {
  if (!user) return [command, args];
  const setpriv = ["--reuid", String(user.uid), "--regid", String(user.gid), "--clear-groups"];
  if (!paths.every(isOpenToAll)) {
    // Without no_setuid_fixup access(2), by which initdb looks for its neighbours, would ignore the capability.
    setpriv.push("--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--securebits=+no_setuid_fixup");
  }
  return [findSetpriv(), [...setpriv, command, ...args]];
}

function isOpenToAll(path: string): boolean {
  for (let dir = dirname(resolve(path)); dir !== "/"; dir = dirname(dir)) {
    if ((statSync(dir).mode & 0o001) === 0) return false;
  }
  return true;
}

function findSetpriv(): string {
  for (const path of ["/usr/bin/setpriv", "/bin/setpriv"]) {
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not here.
    }
  }
  throw new Error("Postgres does not run as root and setpriv (util-linux) is missing: start ./vp as an ordinary user");
}
