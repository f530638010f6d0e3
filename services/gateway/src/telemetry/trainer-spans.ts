/** What a trainer did, as spans: derived from its committed events, so that a trainer needs no tracing library. Pure. */

/** An event as far as a span needs it. */
export interface SpanEvent {
  type: string;
  ts: Date;
  data: Record<string, unknown>;
}

export interface DerivedSpan {
  name: string;
  from: Date;
  to: Date;
  attributes: Record<string, string | number | undefined>;
  /** Moments within it. */
  moments: { name: string; at: Date; attributes: Record<string, string | number | undefined> }[];
  /** Said of a span that ended badly. */
  error?: string;
  children: DerivedSpan[];
}

/** A trace of thousands of spans is read by nobody: beyond this the oldest epochs have none. */
const MAX_EPOCHS = 200;

function span(name: string, from: Date, to: Date, attributes: DerivedSpan["attributes"] = {}): DerivedSpan {
  // Clocks of trainers are not ours: a span never ends before it began.
  return { name, from, to: to < from ? from : to, attributes, moments: [], children: [] };
}

/** Each phase from its first event to the next phase's; a repeated phase (with another percentage) goes on. */
function phases(events: readonly SpanEvent[], end: Date): DerivedSpan[] {
  const found: DerivedSpan[] = [];
  for (const { type, ts, data } of events) {
    if (type !== "phase" || typeof data.name !== "string") continue;
    const last = found.at(-1);
    if (last?.name === data.name) continue;
    if (last) last.to = ts < last.from ? last.from : ts;
    found.push(span(data.name, ts, end));
  }
  return found;
}

/** An epoch lasts until its last metrics, and begins where the one before ended. */
function epochs(events: readonly SpanEvent[], training: DerivedSpan): DerivedSpan[] {
  const ends = new Map<number, Date>();
  for (const { type, ts, data } of events) {
    if (type === "metrics" && typeof data.epoch === "number") ends.set(data.epoch, ts);
  }
  let from = training.from;
  const found = [...ends].map(([epoch, to]) => {
    const each = span(`epoch ${epoch}`, from, to, { "vision_platform.epoch": epoch });
    from = each.to;
    return each;
  });
  return found.slice(-MAX_EPOCHS);
}

function note(all: readonly DerivedSpan[], events: readonly SpanEvent[]): void {
  for (const { type, ts: at, data } of events) {
    if (type !== "checkpoint") continue;
    const within = all.findLast(({ from }) => from <= at);
    const { kind, epoch, step, bytes } = data as Record<string, string | number | undefined>;
    within?.moments.push({ name: "checkpoint", at, attributes: { kind, epoch, step, bytes } });
  }
}

/**
 * One span for the trainer, below it one for each phase, below `training` one for each epoch. `events` are those of one
 * attempt, in order; `ended` is when the attempt was over. Undefined when the trainer never said a word.
 */
export function deriveTrainerSpans(events: readonly SpanEvent[], ended: Date): DerivedSpan | undefined {
  const [first] = events;
  if (!first) return undefined;
  const last = events.findLast(({ type }) => ["succeeded", "failed", "stopped"].includes(type));
  const trainer = span("trainer", first.ts, last?.ts ?? ended);
  trainer.children = phases(events, trainer.to);
  const training = trainer.children.find(({ name }) => name === "training");
  if (training) training.children = epochs(events, training);
  note(trainer.children, events);
  const started = events.find(({ type }) => type === "started")?.data;
  if (typeof started?.device === "string") trainer.attributes["vision_platform.device"] = started.device;
  if (last?.type === "failed") trainer.error = `${last.data.code}: ${last.data.message}`;
  return trainer;
}
