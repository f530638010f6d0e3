import { AppError, invalid } from "@vision-platform/common/app-error";
import { expect, test } from "vitest";
import { EXIT } from "../exit-codes.ts";
import { CommandError, failureLines, failureOf, UsageError } from "./failure.ts";

const problem = (status: number, code = "x") => new AppError("It went wrong", { code, status });

test.each([
  [problem(401), EXIT.denied],
  [problem(403), EXIT.denied],
  [problem(404), EXIT.usage],
  [problem(422), EXIT.usage],
  [problem(500), EXIT.failed],
  [problem(503, "unreachable"), EXIT.unreachable],
  [new UsageError("no"), EXIT.usage],
  [new CommandError("no"), EXIT.failed],
  ["odd", EXIT.failed],
])("%s has its exit code", (error, code) => expect(failureOf(error, undefined).exit_code).toBe(code));

test("a problem is told with its trace id, and each wrong field once", () => {
  const error = invalid([{ pointer: "/epochs", detail: "too small" }]);
  expect(failureLines(failureOf(error, "abc"))).toEqual([
    "vp: the request was not accepted",
    "  /epochs: too small",
    "  trace id abc",
  ]);
  expect(failureLines(failureOf(problem(404), "abc"))).toEqual(["vp: It went wrong", "  trace id abc"]);
});
