// node s3-server.ts <directory> <port> <bucket>: the embedded S3 server, when versitygw is not on PATH.
// Its keys come as S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY.
import S3rver from "@20minutes/s3rver";
import account from "@20minutes/s3rver/lib/models/account.js";
import { s3ServerKeys } from "./config.ts";
import { repairListings } from "./s3rver-listing.ts";

const [directory, port, bucket] = process.argv.slice(2);
if (!directory || !port || !bucket) throw new Error("usage: s3-server.ts <directory> <port> <bucket>");

const keys = s3ServerKeys();
account.DUMMY_ACCOUNT.createKeyPair(keys.id, keys.secret);
// The package's well-known key pair would let everybody on the machine in.
account.DUMMY_ACCOUNT.revokeAccessKey("S3RVER");

// Browsers upload to presigned URLs from the platform's own page, and read the ETag of each piece.
const cors = `<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod>
<AllowedMethod>PUT</AllowedMethod><AllowedHeader>*</AllowedHeader><ExposeHeader>ETag</ExposeHeader></CORSRule></CORSConfiguration>`;

const server = new S3rver({
  address: "127.0.0.1",
  port: Number(port),
  directory,
  silent: true,
  vhostBuckets: false,
  configureBuckets: [{ name: bucket, configs: [cors] }],
});
repairListings(server);
await server.run();

for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => process.exit(0));
