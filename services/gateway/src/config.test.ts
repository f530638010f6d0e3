import { describe, expect, it } from "vitest";
import { readConfig } from "./config.ts";

const GOOD = {
  PORT: "8080",
  DATABASE_URL: "postgres://user:hunter2@127.0.0.1/vision",
  REDIS_URL: "redis://127.0.0.1:6379",
  STORAGE_BUCKET: "vision",
  S3_ENDPOINT: "http://127.0.0.1:9000",
  S3_ACCESS_KEY_ID: "key",
  S3_SECRET_ACCESS_KEY: "secret",
  JWT_SECRET: "j".repeat(32),
  INTERNAL_TOKEN: "i".repeat(32),
  TRAINERS_DIR: "trainers",
};

describe("settings", () => {
  it("have defaults where they can", () => {
    expect(readConfig({ ...GOOD, CORS_ORIGINS: "https://a.example, https://b.example" })).toMatchObject({
      PORT: 8080,
      REGISTRATION: "open",
      TRUST_PROXY: 0,
      CORS_ORIGINS: ["https://a.example", "https://b.example"],
    });
  });

  it.each([
    ["PORT", "eighty", 'PORT: found "eighty"; expected a port number'],
    [
      "DATABASE_URL",
      "mysql://user:hunter2@x/y",
      "DATABASE_URL: a value of 24 characters was found; expected an address such as postgres://",
    ],
    ["JWT_SECRET", "hunter2", "JWT_SECRET: a value of 7 characters was found; expected a random secret"],
    ["JWT_SECRET", "", "JWT_SECRET: it is not set; expected a random secret"],
    ["REGISTRATION", "maybe", 'REGISTRATION: found "maybe"; expected open or closed'],
    ["S3_ENDPOINT", "somewhere", "S3_ENDPOINT"],
    ["TRAINERS_DIR", undefined, "TRAINERS_DIR: it is not set; expected the folder"],
  ])("name what is wrong: %s = %j", (name, value, message) => {
    const read = () => readConfig({ ...GOOD, [name]: value });
    expect(read).toThrow(message);
    expect(read).not.toThrow("hunter2");
  });
});
