import { createServer, request as httpRequest } from "node:http";
import { createDataset, createUpload } from "@vision-platform/contracts/api/datasets";
import { createProject, listProjects } from "@vision-platform/contracts/api/projects";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestGateway, type TestGateway, type TestUser } from "../testing.ts";

let test: TestGateway;
let user: TestUser;
beforeAll(async () => {
  test = await startTestGateway({ background: false });
  user = await test.user();
});
afterAll(() => test.stop());

async function send(method: string, path: string, body?: string | Buffer, headers: Record<string, string> = {}) {
  const response = await fetch(test.url + path, {
    method,
    headers: { authorization: `Bearer ${user.session.access_token}`, "content-type": "application/json", ...headers },
    ...(body === undefined ? {} : { body }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text.startsWith("{") ? JSON.parse(text) : text };
}

describe("problems", () => {
  it("have the shape of RFC 9457 and the trace of the request", async () => {
    const trace_id = "0af7651916cd43dd8448eb211c80319c";
    const answer = await send("GET", "/api/v1/projects/999999", undefined, {
      traceparent: `00-${trace_id}-b7ad6b7169203331-01`,
    });
    expect(answer.headers.get("content-type")).toContain("application/problem+json");
    expect(answer.headers.get("x-trace-id")).toBe(trace_id);
    expect(answer.headers.get("traceparent")).toMatch(new RegExp(`^00-${trace_id}-[0-9a-f]{16}-01$`));
    expect(answer.body).toEqual({
      type: "urn:vision-platform:problem:not_found",
      title: "Not Found",
      status: 404,
      detail: "Project not found",
      code: "not_found",
      trace_id,
      retryable: false,
    });
  });

  it.each([
    ["malformed JSON", "POST", "/api/v1/projects", "{", {}, 400, "malformed_json"],
    [
      "a body above 1 MB",
      "POST",
      "/api/v1/projects",
      JSON.stringify({ name: "x".repeat(1_100_000) }),
      {},
      413,
      "body_too_large",
    ],
    [
      "another media type",
      "POST",
      "/api/v1/projects",
      "name=x",
      { "content-type": "text/plain" },
      415,
      "unsupported_media_type",
    ],
    ["an unknown address", "GET", "/api/v1/nothing", undefined, {}, 404, "route_not_found"],
    ["another method", "PUT", "/api/v1/projects", "{}", {}, 405, "method_not_allowed"],
    ["a broken escape in the address", "GET", "/api/v1/projects/%E0%A4%A", undefined, {}, 400, "bad_request"],
  ] as const)("%s", async (_, method, path, body, headers, status, code) => {
    const answer = await send(method, path, body, headers);
    expect([answer.status, answer.body.code]).toEqual([status, code]);
  });

  it("names the methods that are possible", async () => {
    expect((await send("PUT", "/api/v1/projects")).headers.get("allow")).toBe("POST, GET");
  });

  it.each([
    ["a missing body", undefined, [""]],
    ["an empty one", "{}", ["/name"]],
    ["an array", "[]", [""]],
    ["null", "null", [""]],
    ["a wrong type", '{"name":5}', ["/name"]],
    ["only spaces", '{"name":"  "}', ["/name"]],
    ["an unknown field", '{"name":"x","nmae":"y"}', ["/nmae"]],
    ["a field with special characters", '{"name":"x","a/b~c":1}', ["/a~1b~0c"]],
    ["__proto__", '{"name":"x","__proto__":{"is_admin":true}}', ["/__proto__"]],
  ])("point at the field: %s", async (_, body, pointers) => {
    const answer = await send("POST", "/api/v1/projects", body);
    expect([answer.status, answer.body.errors.map((error: { pointer: string }) => error.pointer)]).toEqual([
      422,
      pointers,
    ]);
  });

  it.each(["limit=0", "limit=201", "limit=x", "limit=1&limit=2", "cursor=%00", "cursor=e30", "colour=red"])(
    "point at the query: %s",
    async (query) => {
      const answer = await send("GET", `/api/v1/projects?${query}`);
      expect(answer.status).toBe(422);
      expect(answer.body.errors[0].pointer).toBe(`/query/${query.split("=")[0]}`);
    },
  );

  it("refuse text that Postgres cannot store", async () => {
    expect((await send("POST", "/api/v1/projects", '{"name":"a\\u0000b"}')).status).toBe(422);
  });

  it("refuse a body where none belongs", async () => {
    const answer = await send("POST", "/api/v1/training/jobs/1/start", '{"force":true}');
    expect(answer.body.errors).toEqual([{ pointer: "/force", detail: "unknown field" }]);
  });
});

describe("pages", () => {
  it("show each row once, in order, whatever is added meanwhile", async () => {
    const reader = await test.user();
    const names = ["a", "b", "c", "d", "e"];
    for (const name of names) await reader.call(createProject, { body: { name } });
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await reader.call(listProjects, {
        query: { limit: 2, ...(cursor === undefined ? {} : { cursor }) },
      });
      seen.push(...page.items.map((project) => project.name));
      cursor = page.next_cursor ?? undefined;
      await reader.call(createProject, { body: { name: "new" } });
    } while (cursor !== undefined);
    expect(seen).toEqual(names.toReversed());
  });
});

describe("health and metrics", () => {
  it("name every part", async () => {
    expect((await send("GET", "/health")).body).toMatchObject({ status: "ok" });
    const parts = { postgres: "ok", redis: "ok", s3: "ok" };
    expect((await send("GET", "/ready")).body).toMatchObject({ status: "ready", parts });
  });

  it("measure requests by route", async () => {
    await send("GET", "/api/v1/projects/999999");
    const text = (await send("GET", "/metrics")).body;
    expect(text).toMatch(
      /http_request_duration_seconds_count\{service="gateway",method="GET",route="\/api\/v1\/projects\/\{project_id\}",status="404"/,
    );
  });
});

describe("parts that are away", () => {
  it("Redis: work goes on, /ready says so", async () => {
    const lonely = await startTestGateway({
      background: false,
      config: { REDIS_URL: `redis://127.0.0.1:${await deadPort()}` },
    });
    try {
      const someone = await lonely.user();
      expect(await lonely.project(someone)).toBe(1);
      const ready = await fetch(`${lonely.url}/ready`);
      expect(ready.status).toBe(503);
      expect(((await ready.json()) as { parts: object }).parts).toMatchObject({
        postgres: "ok",
        s3: "ok",
        redis: expect.not.stringMatching(/^ok$/),
      });
    } finally {
      await lonely.stop();
    }
  });

  it("the storage: 503, and work that does not need it goes on", async () => {
    const lonely = await startTestGateway({
      background: false,
      config: { S3_ENDPOINT: `http://127.0.0.1:${await deadPort()}` },
    });
    try {
      const someone = await lonely.user();
      const project_id = await lonely.project(someone);
      const body = { project_id, name: "set", task_type: "image_classification" } as const;
      const params = { dataset_id: (await someone.call(createDataset, { body })).id };
      const large = { filename: "a.zip", bytes: 100 * 1024 ** 2 };
      await expect(someone.call(createUpload, { params, body: large })).rejects.toMatchObject({
        status: 503,
        retryable: true,
      });
    } finally {
      await lonely.stop();
    }
  });

  it("Postgres: 503 with Retry-After", async () => {
    const lonely = await startTestGateway({ background: false });
    const someone = await lonely.user();
    await lonely.gateway.db.destroy();
    const response = await fetch(`${lonely.url}/api/v1/projects`, {
      headers: { authorization: `Bearer ${someone.session.access_token}` },
    });
    expect([response.status, response.headers.get("retry-after")]).toEqual([503, "2"]);
    await lonely.stop();
  });
});

describe("a browser", () => {
  it("of a listed origin may call, of another not", async () => {
    const listed = await startTestGateway({ background: false, config: { CORS_ORIGINS: ["https://ui.example.org"] } });
    const origins = ["https://ui.example.org", "https://evil.example.org"];
    const answers = await Promise.all(origins.map((origin) => fetch(`${listed.url}/health`, { headers: { origin } })));
    expect(answers.map((answer) => answer.headers.get("access-control-allow-origin"))).toEqual([
      "https://ui.example.org",
      null,
    ]);
    await listed.stop();
  });
});

describe("a client that breaks off", () => {
  it("in the middle of its body leaves no trace", async () => {
    const { port } = new URL(test.url);
    await new Promise<void>((resolve) => {
      const request = httpRequest({
        port,
        method: "POST",
        path: "/api/v1/projects",
        headers: {
          authorization: `Bearer ${user.session.access_token}`,
          "content-type": "application/json",
          "content-length": "100",
        },
      });
      request.on("error", () => resolve());
      request.write('{"na');
      setTimeout(() => request.destroy(), 50);
    });
    expect((await send("GET", "/health")).status).toBe(200);
  });
});

/** A port on which nobody listens. */
async function deadPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
