/** Logins on disk, for the owner's eyes only (mode 600), safe against two commands at once. */
import { mkdir, open, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { CommandError } from "../output/failure.ts";

export interface Login {
  email: string;
  access_token: string;
  /** Milliseconds since 1970. */
  expires_at: number;
  refresh_token: string;
  notifier_url?: string;
}
export interface Credentials {
  /** The server of the last login. */
  current?: string;
  servers: Record<string, Login>;
}

const LOCK_STALE_MS = 20_000;
const LOCK_PAUSE_MS = 50;

export class CredentialsFile {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** Empty when there is no file. Rejects with CommandError when it cannot be understood. */
  async read(): Promise<Credentials> {
    let text: string;
    try {
      text = await readFile(this.path, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return { servers: {} };
      throw error;
    }
    try {
      const parsed = JSON.parse(text) as Credentials;
      if (typeof parsed.servers === "object") return parsed;
    } catch {
      // Told below.
    }
    throw new CommandError(`${this.path} is damaged: remove it and sign in again`);
  }

  /**
   * Changes the file while no other command does: a refresh token may be used only once, so whoever refreshes must be
   * alone and must look again first. `change` returns what to keep and a result.
   */
  async update<Result>(change: (credentials: Credentials) => Promise<Result> | Result): Promise<Result> {
    await mkdir(dirname(this.path), { recursive: true, mode: 0o700 });
    const release = await this.#lock();
    try {
      const credentials = await this.read();
      const before = JSON.stringify(credentials);
      const result = await change(credentials);
      if (JSON.stringify(credentials) !== before) {
        const fresh = `${this.path}.${process.pid}.new`;
        await writeFile(fresh, `${JSON.stringify(credentials, null, 2)}\n`, { mode: 0o600 });
        await rename(fresh, this.path);
      }
      return result;
    } finally {
      await release();
    }
  }

  async #lock(): Promise<() => Promise<void>> {
    const lock = `${this.path}.lock`;
    for (;;) {
      try {
        await (await open(lock, "wx", 0o600)).close();
        return () => rm(lock, { force: true });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
        const age = await stat(lock).then(
          (info) => Date.now() - info.mtimeMs,
          () => 0,
        );
        // Its owner was killed: a refresh takes a second or two.
        if (age > LOCK_STALE_MS) await rm(lock, { force: true });
        else await new Promise((resolve) => setTimeout(resolve, LOCK_PAUSE_MS));
      }
    }
  }
}
