import { login, logout, me, refresh, register } from "@vision-platform/contracts/api/auth";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PASSWORD, startTestGateway, type TestGateway } from "../testing.ts";

let test: TestGateway;
beforeAll(async () => {
  test = await startTestGateway({ config: { LOGIN_LIMIT: 3 } });
});
afterAll(() => test.stop());

describe("accounts", () => {
  it("makes exactly one administrator when many register at once, then none", async () => {
    const sessions = await Promise.all(Array.from({ length: 12 }, (_, index) => test.user(`racer${index}`)));
    expect(sessions.filter(({ session }) => session.user.is_admin)).toHaveLength(1);
    expect((await test.user("later")).session.user.is_admin).toBe(false);
  });

  it("refuses an e-mail that is taken, whatever its case", async () => {
    await test.user("taken");
    const body = { email: "TAKEN@example.org", password: PASSWORD };
    await expect(test.anonymous.call(register, { body })).rejects.toMatchObject({ status: 409, code: "email_taken" });
  });

  it("names every wrong field", async () => {
    const body = { email: "nobody", password: "short", nmae: "x" } as never;
    await expect(test.anonymous.call(register, { body })).rejects.toMatchObject({
      status: 422,
      errors: expect.arrayContaining([
        { pointer: "/email", detail: expect.any(String) },
        { pointer: "/password", detail: "at least 12 characters" },
        { pointer: "/nmae", detail: "unknown field" },
      ]),
    });
  });

  it("signs in with the right password only, and says the same of an unknown e-mail", async () => {
    await test.user("signer");
    const right = await test.anonymous.call(login, { body: { email: "Signer@example.org", password: PASSWORD } });
    expect(right.user.email).toBe("signer@example.org");
    const wrong = { status: 401, code: "wrong_credentials", message: "E-mail or password is wrong" };
    for (const email of ["signer@example.org", "nobody@example.org"]) {
      const body = { email, password: "not the password" };
      await expect(test.anonymous.call(login, { body })).rejects.toMatchObject(wrong);
    }
  });

  it("stops guessing after a few failures, for that e-mail only, with Retry-After", async () => {
    await test.user("guessed");
    await test.user("other");
    const guess = (password: string, email = "guessed@example.org") =>
      fetch(`${test.url}${login.path}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ email, password }),
      });
    for (let count = 0; count < 3; count++) expect((await guess("wrong")).status).toBe(401);
    const refused = await guess(PASSWORD);
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    expect((await guess(PASSWORD, "other@example.org")).status).toBe(200);
  });
});

describe("registration that is closed", () => {
  it("still lets the first account in", async () => {
    const closed = await startTestGateway({ config: { REGISTRATION: "closed" }, background: false });
    try {
      const results = await Promise.allSettled([closed.user("first"), closed.user("second"), closed.user("third")]);
      expect(results.filter((result) => result.status === "fulfilled")).toHaveLength(1);
      await expect(closed.user("late")).rejects.toMatchObject({ status: 403, code: "registration_closed" });
    } finally {
      await closed.stop();
    }
  });
});

describe("refresh tokens", () => {
  const exchange = (refresh_token: string) => test.anonymous.call(refresh, { body: { refresh_token } });
  const over = { status: 401, code: "refresh_token_invalid" };

  it("are exchanged for a new pair that works", async () => {
    const { session } = await test.user("rotating");
    const next = await exchange(session.refresh_token);
    expect(next.refresh_token).not.toBe(session.refresh_token);
    expect((await exchange(next.refresh_token)).user.id).toBe(session.user.id);
  });

  it("end the whole family when one is used twice", async () => {
    const { session } = await test.user("robbed");
    const next = await exchange(session.refresh_token);
    await expect(exchange(session.refresh_token)).rejects.toMatchObject(over);
    await expect(exchange(next.refresh_token)).rejects.toMatchObject(over);
  });

  it("leave one winner when the same one is exchanged many times at once", async () => {
    const { session } = await test.user("parallel");
    const results = await Promise.allSettled(Array.from({ length: 10 }, () => exchange(session.refresh_token)));
    expect(results.filter((result) => result.status === "fulfilled")).toHaveLength(1);
  });

  it("end with logout, and an unknown one is no error", async () => {
    const user = await test.user("leaving");
    await test.anonymous.call(logout, { body: { refresh_token: user.session.refresh_token } });
    await expect(exchange(user.session.refresh_token)).rejects.toMatchObject(over);
    await test.anonymous.call(logout, { body: { refresh_token: "vr_unknown" } });
    expect((await user.call(me, {})).id).toBe(user.session.user.id);
  });
});
