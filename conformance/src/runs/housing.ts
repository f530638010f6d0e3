/** Where a trainer lives while it is tested: as a process of this machine, or in a container of an image. */
import type { Sandbox } from "./sandbox.ts";

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** The initial environment of one process, as another program of the same user could read it. */
export interface ReadableEnvironment {
  process: string;
  /** The trainer itself, and no child of its. */
  main: boolean;
  block: string;
}

/** A trainer that was started. */
export interface Housed {
  readonly exit: Promise<Exit>;
  signal(name: NodeJS.Signals): void;
  /** Processor time of the main process so far, in seconds; null when unknown. */
  cpuSeconds(): number | null;
  environments(): ReadableEnvironment[];
  /** The pids that still live, children that left included. */
  processes(): number[];
  /** Ends all of it at once; may be called at any time, also when it is over. */
  end(): void;
}

export interface HousedCommand {
  command: string[];
  env: Record<string, string>;
  sandbox: Sandbox;
}

export interface Housing {
  /** Where the platform's doors must listen to be reached from inside. */
  readonly address: string;
  /** Outputs go to the sandbox's files. */
  start(what: HousedCommand): Housed;
  close(): void;
}
