/** Listings of more than one page, which s3rver alone cannot give. */
import crypto from "node:crypto";
import type S3rver from "@20minutes/s3rver";

/** Continuation tokens, and keys in their order: a page that goes on after a key then misses none. */
export function repairListings(server: S3rver): void {
  tokensWithoutDes();
  const list = server.store.listObjects.bind(server.store);
  // s3rver walks folders, where `run/a` comes before `run` and `run-b`, and cuts its pages out of that order.
  server.store.listObjects = async (bucket, { maxKeys = Number.POSITIVE_INFINITY, startAfter = "", ...options }) => {
    const { objects, commonPrefixes } = await list(bucket, options);
    const rest = objects.filter(({ key }) => key > startAfter).sort((one, other) => (one.key < other.key ? -1 : 1));
    return { objects: rest.slice(0, maxKeys), commonPrefixes, isTruncated: rest.length > maxKeys };
  };
}

/**
 * s3rver enciphers its continuation tokens with DES, which OpenSSL 3 has no more: every second page was an InternalError.
 * A token holds the key to go on after, which is no secret. Nothing else in the server's process enciphers.
 */
function tokensWithoutDes(): void {
  const plain = () => ({
    update: (text: string | Buffer) => Buffer.from(text as string),
    final: () => Buffer.alloc(0),
  });
  Object.assign(crypto, { createCipheriv: plain, createDecipheriv: plain });
}
