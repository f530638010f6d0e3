/** A pg client that lets Postgres keep the plan of a statement it has seen before: planning costs more than our inserts. */
import pg from "pg";

/** Statements with a list in them differ by its length: only what comes again gets a name, and only so many. */
const USES_BEFORE_NAME = 2;
const MAX_STATEMENTS = 500;

const uses = new Map<string, { count: number; name: string }>();

/** The statement's name, the same in every connection of this process; undefined for one that is too rare. */
function nameOf(text: string): string | undefined {
  const known = uses.get(text);
  if (known === undefined) {
    if (uses.size < MAX_STATEMENTS) uses.set(text, { count: 1, name: `vp_${uses.size}` });
    return undefined;
  }
  return ++known.count > USES_BEFORE_NAME ? known.name : undefined;
}

type AnyQuery = (...args: unknown[]) => unknown;

/**
 * Names every statement with parameters. Behind a connection pooler in transaction mode that knows no prepared statements
 * (PgBouncer before 1.21) use session mode.
 */
export class PreparingClient extends pg.Client {
  override query(...args: unknown[]): never {
    const [text, values] = args;
    const name =
      args.length === 2 && typeof text === "string" && Array.isArray(values) && values.length > 0
        ? nameOf(text)
        : undefined;
    const query = super.query as AnyQuery;
    return (name === undefined ? query.apply(this, args) : query.call(this, { name, text, values })) as never;
  }
}
