/** argon2id by node:crypto, in the PHC string format. */
import { argon2, randomBytes, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import { unavailable } from "@vision-platform/common/app-error";

const derive = promisify(argon2);

/** OWASP Password Storage Cheat Sheet: argon2id with 19 MiB, 2 passes, 1 lane. */
const MEMORY_KIB = 19_456;
const PASSES = 2;
const LANES = 1;
const HASH_BYTES = 32;

/** Two at once: signing in may not starve the threads that files and name look-ups need. */
const AT_ONCE = 2;
const WAITING_LIMIT = 200;

const FORMAT = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/;

export interface Passwords {
  /** Rejects with 503 when too many are waiting. */
  hash(password: string): Promise<string>;
  /** False for a wrong password; takes as long when `hash` is undefined (nobody has that e-mail). */
  verify(password: string, hash: string | undefined): Promise<boolean>;
}

const plain = (bytes: Buffer) => bytes.toString("base64").replace(/=+$/, "");

function compute(
  password: string,
  nonce: Buffer,
  memory: number,
  passes: number,
  parallelism: number,
  tagLength: number,
): Promise<Buffer> {
  // One spelling of a letter with its accent, whichever keyboard it came from.
  const message = Buffer.from(password.normalize("NFC"));
  return derive("argon2id", { message, nonce, memory, passes, parallelism, tagLength }) as Promise<Buffer>;
}

export function createPasswords(): Passwords {
  const limited = atMost(AT_ONCE, WAITING_LIMIT);
  // Nobody's password: what an unknown e-mail is compared with.
  const decoy = `$argon2id$v=19$m=${MEMORY_KIB},t=${PASSES},p=${LANES}$${plain(randomBytes(16))}$${plain(randomBytes(HASH_BYTES))}`;

  return {
    async hash(password) {
      const nonce = randomBytes(16);
      const tag = await limited(() => compute(password, nonce, MEMORY_KIB, PASSES, LANES, HASH_BYTES));
      return `$argon2id$v=19$m=${MEMORY_KIB},t=${PASSES},p=${LANES}$${plain(nonce)}$${plain(tag)}`;
    },
    async verify(password, hash) {
      const match = FORMAT.exec(hash ?? decoy);
      if (match === null) throw new Error("unreadable password hash in the database");
      const [memory, passes, lanes] = match.slice(1, 4).map(Number) as [number, number, number];
      const nonce = Buffer.from(match[4] ?? "", "base64");
      const expected = Buffer.from(match[5] ?? "", "base64");
      const tag = await limited(() => compute(password, nonce, memory, passes, lanes, expected.length));
      return timingSafeEqual(tag, expected) && hash !== undefined;
    },
  };
}

/** Runs at most `count` pieces of work at once; the rest waits in line, up to `waitingLimit`. */
function atMost(count: number, waitingLimit: number) {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async <Result>(work: () => Promise<Result>): Promise<Result> => {
    if (running >= count) {
      if (waiting.length >= waitingLimit) throw unavailable("Too many people are signing in; try again in a moment");
      // Whoever ends hands its place over, so `running` stays as it is.
      await new Promise<void>((resolve) => waiting.push(resolve));
    } else {
      running += 1;
    }
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else running -= 1;
    }
  };
}
