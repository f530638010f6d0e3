/** So many trainers at once and no more: a slow machine must not look like a slow trainer. */

export interface Slots {
  /** Resolves with the function that gives the slot back; calling it twice is no error. */
  take(): Promise<() => void>;
}

export function createSlots(count: number): Slots {
  let free = count;
  const waiting: (() => void)[] = [];

  function give(): void {
    free += 1;
    waiting.shift()?.();
  }

  return {
    async take() {
      while (free === 0) await new Promise<void>((woken) => waiting.push(woken));
      free -= 1;
      let held = true;
      return () => {
        if (held) give();
        held = false;
      };
    },
  };
}
