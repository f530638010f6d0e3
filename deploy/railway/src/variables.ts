/** Railway's variables: `NAME=value` lines with references such as `${{Redis.REDIS_URL}}`. */

/** The variables of every service of a project, and `shared`. */
export type ProjectVariables = Record<string, Record<string, string>>;

/** Reads `NAME=value` lines; lines that begin with # and empty ones are left out. Throws for anything else. */
export function parseVariables(text: string): Record<string, string> {
  const entries = text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line): [string, string] => {
      const found = /^([A-Z][A-Z0-9_]*)=(.*)$/.exec(line);
      if (!found) throw new Error(`not a variable: ${JSON.stringify(line)}; expected NAME=value`);
      return [found[1] ?? "", found[2] ?? ""];
    });
  return Object.fromEntries(entries);
}

/** Deeper than any sensible chain of references; a circle would never end. */
const MAX_DEPTH = 10;

/**
 * The variables of a service with every reference filled in, as Railway does before it starts a container.
 * Throws when a reference leads nowhere or in a circle: on Railway it would be an empty text, and found late.
 */
export function resolveVariables(project: ProjectVariables, service: string): Record<string, string> {
  const value = (owner: string, name: string, depth: number): string => {
    const raw = project[owner]?.[name];
    if (raw === undefined) throw new Error(`${service}: nothing is called ${owner}.${name}`);
    if (depth > MAX_DEPTH) throw new Error(`${service}: ${owner}.${name} refers to itself`);
    return raw.replace(/\$\{\{\s*(?:([\w-]+)\.)?(\w+)\s*\}\}/g, (_, other: string | undefined, variable: string) =>
      value(other ?? owner, variable, depth + 1),
    );
  };
  return Object.fromEntries(Object.keys(project[service] ?? {}).map((name) => [name, value(service, name, 0)]));
}
