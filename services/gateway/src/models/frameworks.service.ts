/** The frameworks as people see them: which are on, and why others are not. */
import type { Framework } from "@vision-platform/contracts/api/models";
import type { JobKind } from "@vision-platform/contracts/job-state";
import type { TrainerManifest } from "@vision-platform/contracts/trainer-manifest";
import { liveWorkers } from "../attempts/workers.repository.ts";
import type { Db } from "../db/db.ts";
import type { Catalogue } from "./catalogue.ts";

/** All but those for tests and authors, which are shown only where they are on. */
export async function presentFrameworks(db: Db, catalogue: Catalogue): Promise<Framework[]> {
  const workers = await liveWorkers(db);
  return catalogue
    .manifests()
    .filter((manifest) => manifest.listed || manifest.enabled)
    .map((manifest) => ({
      framework: manifest.framework,
      title: manifest.title,
      license: manifest.license,
      enabled: manifest.enabled,
      notice: manifest.notice ?? null,
      kinds: Object.keys(manifest.kinds) as JobKind[],
      tasks: manifest.tasks,
      models: manifest.models.length,
      workers: workers.get(manifest.framework) ?? 0,
    }));
}

/** Why nothing can be done with a framework that is off, and who can change that. */
export function whyOff({ framework, notice }: Pick<TrainerManifest, "framework" | "notice">): string {
  const repair = `an administrator turns it on with ENABLED_FRAMEWORKS=${framework}`;
  return `${framework} is off${notice === undefined ? "" : `: ${notice.replace(/\.\s*$/, "")}`}; ${repair}`;
}
