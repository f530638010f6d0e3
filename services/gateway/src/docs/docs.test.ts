import { OPERATIONS } from "@vision-platform/contracts/api/operations";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestGateway, type TestGateway } from "../testing.ts";
import { type OpenApiDocument, renderDocs } from "./docs-page.ts";

let test: TestGateway;
beforeAll(async () => {
  test = await startTestGateway({ background: false });
});
afterAll(() => test.stop());

describe("the OpenAPI document", () => {
  it("names every operation of the contracts and no other", async () => {
    const document = (await (await fetch(`${test.url}/openapi.json`)).json()) as OpenApiDocument & { openapi: string };
    expect(document.openapi).toMatch(/^3\.1/);
    const listed = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    );
    expect(listed.toSorted()).toEqual(OPERATIONS.map((op) => `${op.method} ${op.path}`).toSorted());
  });

  it("names routes that exist: none of them answers 'nothing is here'", async () => {
    for (const op of OPERATIONS) {
      const response = await fetch(test.url + op.path.replace(/\{\w+\}/g, "1"), { method: op.method.toUpperCase() });
      expect([op.id, response.status]).toEqual([op.id, op.access === "public" ? 422 : 401]);
    }
  });
});

describe("the page", () => {
  it("shows every operation, without scripts and without anything from elsewhere", async () => {
    const response = await fetch(`${test.url}/docs`);
    const page = await response.text();
    expect(response.headers.get("content-security-policy")).toContain("default-src 'none'");
    for (const op of OPERATIONS) expect(page).toContain(`id="${op.id}"`);
    expect(page).not.toMatch(/<script|<link|src=|https?:\/\/(?!json-schema)/);
  });

  it("escapes every text", () => {
    const evil = "<script>alert(1)</script>";
    const document = {
      info: { title: evil },
      paths: {
        [evil]: { get: { operationId: evil, summary: evil, tags: [evil], responses: { 200: { description: evil } } } },
      },
      components: {},
    };
    expect(renderDocs(document)).not.toContain("<script");
  });
});
