/** The OpenAPI document as one readable page: plain HTML, rendered here, working without a network and without scripts. */

interface Schema {
  $ref?: string;
  type?: string | string[];
  enum?: unknown[];
  const?: unknown;
  items?: Schema;
  properties?: Record<string, Schema>;
  additionalProperties?: Schema | boolean;
  required?: string[];
  anyOf?: Schema[];
  oneOf?: Schema[];
  allOf?: Schema[];
  format?: string;
  description?: string;
  default?: unknown;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  minLength?: number;
  maxLength?: number;
  pattern?: string;
}
interface Body {
  content?: Record<string, { schema?: Schema }>;
}
interface OpenApiOperation {
  operationId: string;
  summary?: string;
  tags?: string[];
  security?: Record<string, unknown>[];
  parameters?: { name: string; in: string; required?: boolean; schema?: Schema; description?: string }[];
  requestBody?: Body;
  responses: Record<string, Body & { description?: string }>;
}
export interface OpenApiDocument {
  info: { title: string; description?: string };
  paths: Record<string, Record<string, OpenApiOperation>>;
  components: { schemas?: Record<string, Schema>; securitySchemes?: Record<string, { description?: string }> };
}

const STYLE = `
:root{color-scheme:light dark;--line:#8885;--soft:#8882;--accent:#2563eb}
body{font:15px/1.5 system-ui,sans-serif;margin:0;display:grid;grid-template-columns:17rem minmax(0,1fr)}
nav{position:sticky;top:0;height:100vh;overflow:auto;border-right:1px solid var(--line);padding:1rem;box-sizing:border-box;font-size:13px}
nav a{display:block;color:inherit;text-decoration:none;padding:.1rem 0}nav a:hover{color:var(--accent)}
main{padding:1rem 2rem;max-width:62rem}h2{margin-top:2.5rem;border-bottom:1px solid var(--line);text-transform:capitalize}
section{border:1px solid var(--line);border-radius:8px;margin:1rem 0;padding:.6rem 1rem}
code,.path{font-family:ui-monospace,monospace;font-size:.92em}.method{font-weight:700;color:var(--accent);text-transform:uppercase}
table{border-collapse:collapse;width:100%;font-size:13.5px}td{border-top:1px solid var(--soft);padding:.2rem .6rem .2rem 0;vertical-align:top}
h4{margin:.8rem 0 .2rem}.dim{opacity:.7}@media(max-width:50rem){body{display:block}nav{display:none}main{padding:1rem}}`;

const ESCAPES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
const escapeHtml = (text: unknown) => String(text).replace(/[&<>"']/g, (character) => ESCAPES[character] ?? "");
const anchor = (text: string) => text.replace(/[^A-Za-z0-9]+/g, "-");

function typeOf(schema: Schema | undefined): string {
  if (schema === undefined || Object.keys(schema).length === 0) return "anything";
  if (schema.$ref) {
    const name = schema.$ref.split("/").at(-1) ?? "";
    return `<a href="#schema-${anchor(name)}">${escapeHtml(name)}</a>`;
  }
  const variants = schema.anyOf ?? schema.oneOf ?? schema.allOf;
  if (variants) return variants.map(typeOf).join(schema.allOf ? " and " : " or ");
  if (schema.enum) return schema.enum.map((value) => `<code>${escapeHtml(JSON.stringify(value))}</code>`).join(" | ");
  if (schema.const !== undefined) return `<code>${escapeHtml(JSON.stringify(schema.const))}</code>`;
  if (schema.items) return `array of ${typeOf(schema.items)}`;
  if (typeof schema.additionalProperties === "object") return `object: name → ${typeOf(schema.additionalProperties)}`;
  return escapeHtml([schema.type ?? "anything"].flat().join(" or ") + (schema.format ? ` (${schema.format})` : ""));
}

function limitsOf(schema: Schema): string {
  const limits: [string, unknown][] = [
    ["min", schema.minimum],
    ["more than", schema.exclusiveMinimum],
    ["max", schema.maximum],
    ["at least characters", schema.minLength],
    ["at most characters", schema.maxLength],
    ["default", schema.default === undefined ? undefined : JSON.stringify(schema.default)],
  ];
  return limits
    .flatMap(([name, value]) => (value === undefined ? [] : [`${name} <code>${escapeHtml(value)}</code>`]))
    .join(", ");
}

function row(name: string, schema: Schema | undefined, required: boolean): string {
  const notes = [schema ? limitsOf(schema) : "", escapeHtml(schema?.description ?? "")]
    .filter((note) => note !== "")
    .join(". ");
  return `<tr><td><code>${escapeHtml(name)}</code>${required ? "" : ' <span class="dim">optional</span>'}</td><td>${typeOf(schema)}</td><td class="dim">${notes}</td></tr>`;
}

function fields(schema: Schema | undefined): string {
  if (schema?.allOf)
    return schema.allOf.map((part) => (part.$ref ? `<p>${typeOf(part)}, and</p>` : fields(part))).join("");
  if (!schema?.properties) return `<p>${typeOf(schema)}</p>`;
  const rows = Object.entries(schema.properties).map(([name, field]) =>
    row(name, field, schema.required?.includes(name) ?? false),
  );
  return `<table>${rows.join("")}</table>`;
}

const bodySchema = (body: Body | undefined) => Object.values(body?.content ?? {})[0]?.schema;

function operationSection(method: string, path: string, op: OpenApiOperation, document: OpenApiDocument): string {
  const access = Object.keys(op.security?.[0] ?? {})[0];
  const accessNote =
    access === undefined ? "Open to everybody" : (document.components.securitySchemes?.[access]?.description ?? access);
  const parameters = (op.parameters ?? []).map((parameter) =>
    row(
      `${parameter.name} (${parameter.in})`,
      { description: parameter.description, ...parameter.schema } as Schema,
      parameter.required ?? false,
    ),
  );
  const answers = Object.entries(op.responses).map(([status, answer]) =>
    Number(status) < 300
      ? `<h4>${escapeHtml(status)}</h4>${bodySchema(answer) ? fields(bodySchema(answer)) : '<p class="dim">no body</p>'}`
      : `<div class="dim"><code>${escapeHtml(status)}</code> ${escapeHtml(answer.description ?? "")}</div>`,
  );
  return `<section id="${anchor(op.operationId)}"><div class="path"><span class="method">${escapeHtml(method)}</span> ${escapeHtml(path)}</div>
<p>${escapeHtml(op.summary ?? "")}<br><span class="dim">${escapeHtml(accessNote)}</span></p>
${parameters.length > 0 ? `<h4>Parameters</h4><table>${parameters.join("")}</table>` : ""}
${op.requestBody ? `<h4>Body</h4>${fields(bodySchema(op.requestBody))}` : ""}${answers.join("")}</section>`;
}

/** The whole page. `document` is our own committed one; every text of it is escaped all the same. */
export function renderDocs(document: OpenApiDocument): string {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, op]) => ({ path, method, op })),
  );
  const tags = [...new Set(operations.map(({ op }) => op.tags?.[0] ?? "other"))];
  const ofTag = (tag: string) => operations.filter(({ op }) => (op.tags?.[0] ?? "other") === tag);
  const schemas = Object.entries(document.components.schemas ?? {});
  const navigation = tags.map((tag) => {
    const links = ofTag(tag).map(({ op }) => `<a href="#${anchor(op.operationId)}">${escapeHtml(op.operationId)}</a>`);
    return `<strong>${escapeHtml(tag)}</strong>${links.join("")}<br>`;
  });
  const sections = tags.map((tag) => {
    const parts = ofTag(tag).map(({ method, path, op }) => operationSection(method, path, op, document));
    return `<h2>${escapeHtml(tag)}</h2>${parts.join("")}`;
  });
  const shapes = schemas.map(
    ([name, schema]) =>
      `<section id="schema-${anchor(name)}"><strong>${escapeHtml(name)}</strong><p class="dim">${escapeHtml(schema.description ?? "")}</p>${fields(schema)}</section>`,
  );
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>${escapeHtml(document.info.title)} API</title><style>${STYLE}</style></head><body><nav>${navigation.join("")}</nav><main>
<h1>${escapeHtml(document.info.title)} API</h1><p>${escapeHtml(document.info.description ?? "")} For programs: <a href="/openapi.json">openapi.json</a>.</p>
${sections.join("")}<h2>Shapes</h2>${shapes.join("")}</main></body></html>`;
}
