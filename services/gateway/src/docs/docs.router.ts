/** The API described: `/openapi.json` for programs, `/docs` for people. Both are made on first use and kept. */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { Router } from "express";
import { type OpenApiDocument, renderDocs } from "./docs-page.ts";

/** No script at all, so the page needs nothing from outside and nothing can run in it. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";

async function readDocument(): Promise<string> {
  return await readFile(fileURLToPath(import.meta.resolve("@vision-platform/contracts/openapi.json")), "utf8");
}

export function docsRouter(): Router {
  let text: Promise<string> | undefined;
  let page: Promise<string> | undefined;
  const document = () => (text ??= readDocument());
  const router = Router();
  router.get("/", (_request, response) => response.redirect("/docs"));
  router.get("/openapi.json", async (_request, response) => {
    response.type("json").setHeader("Cache-Control", "public, max-age=300");
    response.send(await document());
  });
  router.get("/docs", async (_request, response) => {
    page ??= document().then((json) => renderDocs(JSON.parse(json) as OpenApiDocument));
    response.setHeader("Content-Security-Policy", POLICY);
    response.setHeader("Cache-Control", "public, max-age=300");
    response.type("html").send(await page);
  });
  return router;
}
