import { describe, expect, it } from "vitest";
import { OPERATIONS } from "./api/operations.ts";
import { EXIT_SUCCEEDED, FAILURES, failureOfExitCode } from "./failure-codes.ts";
import { parseS3Uri, queueJobId, queueName } from "./names.ts";

describe("operations", () => {
  it("have ids and routes of their own", () => {
    const routes = OPERATIONS.map((op) => `${op.method} ${op.path}`);
    expect(new Set(routes).size).toBe(routes.length);
    expect(new Set(OPERATIONS.map((op) => op.id)).size).toBe(OPERATIONS.length);
  });

  it.each(OPERATIONS.map((op) => [op.id, op] as const))("%s declares exactly the parameters of its path", (_id, op) => {
    const named = [...op.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
    expect(Object.keys(op.params?.shape ?? {}).sort()).toEqual(named.sort());
  });

  it.each(OPERATIONS.map((op) => [op.id, op] as const))("%s is open to the right people by its path", (_id, op) => {
    if (op.path.startsWith("/internal/")) expect(op.access).toBe("internal");
    else if (op.path.startsWith("/v1/")) expect(op.access).toBe("attempt");
    else if (op.access === "public") expect(["register", "login", "refresh", "logout"]).toContain(op.id);
    else expect(op.access).toBe("user");
  });
});

describe("failure codes", () => {
  it("give each exit code of the contract one meaning", () => {
    const codes = Object.values(FAILURES).flatMap((rule) => ("exit_code" in rule ? [rule.exit_code] : []));
    expect(codes.sort((a, b) => a - b)).toEqual([2, 3, 4, 5, 10, 11, 12, 20, 21, 22, 70]);
    expect(failureOfExitCode(EXIT_SUCCEEDED)).toBeUndefined();
    expect(failureOfExitCode(11)).toBe("GPU_OUT_OF_MEMORY");
    expect(failureOfExitCode(1)).toBeUndefined();
  });
});

describe("names", () => {
  it("suit BullMQ, which takes no colon and no bare number", () => {
    expect(queueName("timm")).not.toContain(":");
    expect(queueJobId(6, 1)).toBe("job-6-a1");
  });

  it("read s3:// addresses and nothing else", () => {
    expect(parseS3Uri("s3://vision/jobs/6/RESULT.json")).toEqual({ bucket: "vision", key: "jobs/6/RESULT.json" });
    expect(() => parseS3Uri("file:///etc/passwd")).toThrow("not an s3:// address");
  });
});
