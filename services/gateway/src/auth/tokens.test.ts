import { describe, expect, it } from "vitest";
import { createPasswords } from "./passwords.ts";
import { createTokens, hashOpaqueToken, newOpaqueToken } from "./tokens.ts";

const tokens = createTokens({ JWT_SECRET: "a".repeat(32), INTERNAL_TOKEN: "b".repeat(32) });

describe("tokens", () => {
  it("name a person, or an attempt, and never the other", () => {
    const access = tokens.mintAccess({ id: 7, is_admin: true });
    const callback = tokens.mintCallbackToken({ job_id: 6, attempt: 2, ttl_s: 60 });
    expect(tokens.verifyAccess(access)).toMatchObject({ user_id: 7, is_admin: true });
    expect(tokens.verifyCallbackToken(callback)).toEqual({ job_id: 6, attempt: 2 });
    expect(() => tokens.verifyAccess(callback)).toThrow("not valid");
    expect(() => tokens.verifyCallbackToken(access)).toThrow("not valid");
  });

  it("say when they have expired", () => {
    const callback = tokens.mintCallbackToken({ job_id: 6, attempt: 2, ttl_s: -1 });
    expect(() => tokens.verifyCallbackToken(callback)).toThrow(
      expect.objectContaining({ status: 401, code: "token_expired" }),
    );
  });

  it("compare INTERNAL_TOKEN whole", () => {
    expect(["b".repeat(32), "b".repeat(31), "b".repeat(33), ""].map((token) => tokens.isInternal(token))).toEqual([
      true,
      false,
      false,
      false,
    ]);
  });

  it("are stored as a hash", () => {
    const { token, hash } = newOpaqueToken("vp_");
    expect(hashOpaqueToken(token)).toBe(hash);
    expect(hash).not.toContain(token.slice(3, 10));
  });
});

describe("passwords", () => {
  const passwords = createPasswords();

  it("are verified against their own hash only, however an accent is typed", async () => {
    const hash = await passwords.hash("caf\u00e9 au lait, s'il vous");
    expect(hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
    expect(await passwords.verify("cafe\u0301 au lait, s'il vous", hash)).toBe(true);
    expect(await passwords.verify("another", hash)).toBe(false);
    expect(await passwords.verify("another", undefined)).toBe(false);
    expect(await passwords.hash("same")).not.toBe(await passwords.hash("same"));
  });

  it("wait in line rather than fail", async () => {
    const hashes = await Promise.all(Array.from({ length: 10 }, (_, index) => passwords.hash(`password ${index}`)));
    expect(await Promise.all(hashes.map((hash, index) => passwords.verify(`password ${index}`, hash)))).not.toContain(
      false,
    );
  });
});
