import { expect, test } from "vitest";
import { baseEnvironment, fetchEnvironment, loadSettings } from "./config.ts";

test("nothing set: everything is embedded", () => {
  const settings = loadSettings({});
  expect(settings.DATABASE_URL).toBeUndefined();
  expect(settings.STORAGE_BUCKET).toBe("vision-platform");
});

test("a wrong setting is named with what is expected, and a secret is never shown", () => {
  expect(() => loadSettings({ REGISTRATION: "maybe" })).toThrow(/REGISTRATION: found "maybe", expected open or closed/);
  expect(() => loadSettings({ DATABASE_URL: "mysql://root:hunter2@db" })).toThrow(/DATABASE_URL/);
  expect(() => loadSettings({ DATABASE_URL: "mysql://root:hunter2@db" })).not.toThrow(/hunter2/);
});

test("an S3 endpoint without its keys is refused", () => {
  expect(() => loadSettings({ S3_ENDPOINT: "http://127.0.0.1:9000" })).toThrow(/S3_ACCESS_KEY_ID/);
});

test("children get what finds programs, fetching tools get indexes and proxies too, nobody gets the rest", () => {
  const env = { PATH: "/bin", HOME: "/h", AWS_SECRET_ACCESS_KEY: "x", UV_TORCH_BACKEND: "cpu", https_proxy: "p" };
  expect(baseEnvironment(env)).toEqual({ PATH: "/bin", HOME: "/h" });
  expect(fetchEnvironment(env)).toEqual({ PATH: "/bin", HOME: "/h", UV_TORCH_BACKEND: "cpu", https_proxy: "p" });
});
