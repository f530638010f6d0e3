/** The engine sends nothing while it waits for a registry: somebody has to look at the clock. */
export interface Silence {
  /** Aborted when nothing was heard for the limit; its reason says so. */
  signal: AbortSignal;
  heard(): void;
  /** Nobody listens any more. */
  end(): void;
}

export function watchSilence(limitMs: number): Silence {
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(new Error(`nothing came for ${limitMs / 1000} s`)), limitMs);
  return { signal: silence.signal, heard: () => void timer.refresh(), end: () => clearTimeout(timer) };
}
