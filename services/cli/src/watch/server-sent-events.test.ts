import fc from "fast-check";
import { expect, test } from "vitest";
import { readServerSentEvents } from "./server-sent-events.ts";

async function* pieces(text: string, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  const bytes = new TextEncoder().encode(text);
  let at = 0;
  for (let turn = 0; at < bytes.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? 1;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

test("messages are the same, however the bytes arrive", async () => {
  const text =
    'retry: 1000\n\n: hello\n\nid: 1\ndata: {"a":"ü"}\n\nid: 2\r\ndata: one\r\ndata:two\r\n\r\n:\n\ndata: unfinished';
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }), async (sizes) => {
      const messages = (await Array.fromAsync(readServerSentEvents(pieces(text, sizes)))).filter((one) => one !== null);
      expect(messages).toEqual(['{"a":"ü"}', "one\ntwo"]);
    }),
  );
});
