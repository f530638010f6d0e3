/** Every HTTP operation of the gateway. A route that is not here does not exist. */
import * as auth from "./auth.ts";
import * as callbacks from "./callbacks.ts";
import * as datasets from "./datasets.ts";
import * as internal from "./internal.ts";
import * as jobs from "./jobs.ts";
import * as models from "./models.ts";
import type { Operation } from "./operation.ts";
import * as projects from "./projects.ts";
import * as workers from "./workers.ts";

function isOperation(value: unknown): value is Operation {
  return typeof value === "object" && value !== null && "method" in value && "path" in value && "access" in value;
}

const NOUNS = [auth, projects, datasets, models, jobs, workers, callbacks, internal];

export const OPERATIONS: readonly Operation[] = NOUNS.flatMap((noun) => Object.values(noun).filter(isOperation));
