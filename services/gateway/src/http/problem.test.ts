import { conflict } from "@vision-platform/common/app-error";
import { describe, expect, it } from "vitest";
import { withDeadline } from "./deadline.ts";
import { asAppError } from "./problem.ts";

const coded = (code: string, message = "x") => Object.assign(new Error(message), { code });

describe("what an error means to the caller", () => {
  it.each([
    ["a refused connection", coded("ECONNREFUSED")],
    ["Postgres shutting down", coded("57P01")],
    ["a statement that took too long", coded("57014")],
    ["too many connections", coded("53300")],
    ["a deadlock", coded("40P01")],
    ["a pool without a free connection", new Error("timeout exceeded when trying to connect")],
    ["a connection that broke", new Error("Connection terminated unexpectedly")],
    ["a Redis that is away", new Error("Stream isn't writeable and enableOfflineQueue options is false")],
    ["a storage that fails", Object.assign(new Error("InternalError"), { $metadata: { httpStatusCode: 500 } })],
  ])("%s is 503, with a time to try again", (_, error) => {
    expect(asAppError(error)).toMatchObject({ status: 503, retryable: true, retryAfter: expect.any(Number) });
  });

  it.each([
    ["a syntax error in our SQL", coded("42601")],
    ["a broken constraint that nobody foresaw", coded("23505")],
    ["a defect", new TypeError("x is not a function")],
    ["something thrown that is no error", "oops"],
    ["nothing", undefined],
  ])("%s is our own fault", (_, error) => {
    expect(asAppError(error)).toBeUndefined();
  });

  it("our own errors stay as they are", () => {
    const error = conflict("taken");
    expect(asAppError(error)).toBe(error);
  });
});

describe("a deadline", () => {
  it("ends a wait that would last for ever", async () => {
    await expect(withDeadline(new Promise(() => undefined), 5)).rejects.toMatchObject({ status: 503 });
    expect(await withDeadline(Promise.resolve(1), 1000)).toBe(1);
    await expect(withDeadline(Promise.reject(conflict("x")), 1000)).rejects.toMatchObject({ status: 409 });
  });
});
