/** What Postgres' jsonb takes: no NUL, no lone surrogates, no endless nesting. */

const MAX_DEPTH = 32;
const SUSPICIOUS = /\\u0000|\\ud[89a-f]/i;

/** False for values nested deeper than Postgres' parser should be asked to go. */
export function isStorable(value: unknown, depth = MAX_DEPTH): boolean {
  if (typeof value !== "object" || value === null) return true;
  return depth > 0 && Object.values(value).every((item) => isStorable(item, depth - 1));
}

/** The same value with characters that jsonb refuses replaced by U+FFFD; the value itself when there are none. */
export function storable<Value extends object>(value: Value): Value {
  return SUSPICIOUS.test(JSON.stringify(value)) ? (cleaned(value) as Value) : value;
}

function cleaned(value: unknown): unknown {
  if (typeof value === "string") return value.toWellFormed().replaceAll("\0", "\uFFFD");
  if (Array.isArray(value)) return value.map(cleaned);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [cleaned(name), cleaned(item)]));
}
