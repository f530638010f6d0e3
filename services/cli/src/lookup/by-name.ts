/** Projects, datasets and models by what people call them: a name or an id. */
import { type Dataset, getDataset, listDatasets } from "@vision-platform/contracts/api/datasets";
import { listFrameworks, listModels, type Model } from "@vision-platform/contracts/api/models";
import { createProject, getProject, listProjects, type Project } from "@vision-platform/contracts/api/projects";
import { UsageError } from "../output/failure.ts";
import type { Session } from "../session/session.ts";
import { allPages } from "./pages.ts";

const DEFAULT_PROJECT = "default";

function isId(text: string): boolean {
  return /^[1-9][0-9]{0,9}$/.test(text);
}

function sameName(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

function pick<One extends { id: number; name: string }>(what: string, name: string, found: One[], all: One[]): One {
  const [only, other] = found;
  if (only !== undefined && other === undefined) return only;
  if (only !== undefined)
    throw new UsageError(
      `there are ${found.length} ${what}s named ${name}: give the id (${found.map(({ id }) => id).join(", ")})`,
    );
  const known = all.slice(0, 10).map((one) => `${one.name} (${one.id})`);
  throw new UsageError(
    `there is no ${what} named ${name}${known.length > 0 ? `; there are: ${known.join(", ")}` : ""}`,
  );
}

/** Without a name: the only project there is; with none at all, one named "default" is made. */
export async function findProject(session: Session, name: string | undefined): Promise<Project> {
  if (name !== undefined && isId(name)) return session.call(getProject, { params: { project_id: Number(name) } });
  const all = await allPages((cursor) => session.call(listProjects, { query: { cursor, limit: 200 } }));
  if (name !== undefined)
    return pick(
      "project",
      name,
      all.filter((one) => sameName(one.name, name)),
      all,
    );
  const [only, other] = all;
  if (only === undefined) return session.call(createProject, { body: { name: DEFAULT_PROJECT } });
  if (other === undefined) return only;
  throw new UsageError(
    `you have ${all.length} projects: say which with --project (${all
      .slice(0, 10)
      .map((one) => one.name)
      .join(", ")})`,
  );
}

export async function listDatasetsOf(session: Session, projectId: number | undefined): Promise<Dataset[]> {
  return allPages((cursor) => session.call(listDatasets, { query: { project_id: projectId, cursor, limit: 200 } }));
}

/** By id anywhere; by name in the project, or in all of them when none is given. */
export async function findDataset(session: Session, name: string, projectId: number | undefined): Promise<Dataset> {
  if (isId(name)) return session.call(getDataset, { params: { dataset_id: Number(name) } });
  const all = await listDatasetsOf(session, projectId);
  return pick(
    "dataset",
    name,
    all.filter((one) => sameName(one.name, name)),
    all,
  );
}

/** `framework/name`, or a name that only one framework has (or `framework` has); also from beyond its catalogue. */
export async function findModel(session: Session, text: string, framework: string | undefined): Promise<Model> {
  const { items } = await session.call(listModels, { query: { framework } });
  const found = items.filter(
    (model) => sameName(model.name, text) || sameName(`${model.framework}/${model.name}`, text),
  );
  const [only, other] = found;
  if (only !== undefined && other === undefined) return only;
  if (only !== undefined)
    throw new UsageError(
      `more than one framework has ${text}: say --framework (${found.map((one) => one.framework).join(", ")})`,
    );
  return await findFurtherModel(session, text, framework, items);
}

/** Rejects with UsageError that tells of a framework that is off, or of names that are near. */
async function findFurtherModel(
  session: Session,
  text: string,
  framework: string | undefined,
  catalogue: Model[],
): Promise<Model> {
  const slash = text.indexOf("/");
  const wanted = framework ?? (slash > 0 ? text.slice(0, slash) : undefined);
  const name = framework === undefined && slash > 0 ? text.slice(slash + 1) : text;
  const off = await whyOff(session, wanted);
  if (off !== undefined) throw new UsageError(off);
  const known = wanted === undefined ? undefined : catalogue.find((model) => model.framework === wanted)?.framework;
  if (known !== undefined) {
    const query = { framework: known, all: "true", search: name } as const;
    const further = (await session.call(listModels, { query })).items.find((model) => sameName(model.name, name));
    if (further !== undefined) return further;
  }
  const near = catalogue.filter((model) => model.name.toLowerCase().includes(name.toLowerCase())).slice(0, 5);
  const hint = near.length > 0 ? `; did you mean ${near.map((one) => one.name).join(", ")}?` : "; see ./vp models list";
  throw new UsageError(`there is no model ${name}${known === undefined ? "" : ` in ${known}`}${hint}`);
}

/** Why a framework trains nothing here; undefined when it is on, or not there at all. */
export async function whyOff(session: Session, framework: string | undefined): Promise<string | undefined> {
  if (framework === undefined) return undefined;
  const { items } = await session.call(listFrameworks, {});
  const found = items.find((one) => one.framework === framework);
  if (found === undefined || found.enabled) return undefined;
  const notice = found.notice === null ? "" : `: ${found.notice.replace(/\.\s*$/, "")}`;
  return `${framework} is off${notice}; an administrator turns it on with ENABLED_FRAMEWORKS=${framework}`;
}
