/** Claims of a walk-through, which is a program and not a test file. */
import { isDeepStrictEqual } from "node:util";

export const deepEqual = isDeepStrictEqual;

/** Throws with what was expected. */
export function expect(holds: boolean, what: string): void {
  if (!holds) throw new Error(`expected otherwise: ${what}`);
}
