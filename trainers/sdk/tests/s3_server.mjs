// node s3_server.mjs <directory> <port> <bucket>: the S3 server of the Python tests. Its keys come from the environment.
import S3rver from "@20minutes/s3rver";
import account from "@20minutes/s3rver/lib/models/account.js";

const [directory, port, name] = process.argv.slice(2);
account.DUMMY_ACCOUNT.createKeyPair(process.env.S3_ACCESS_KEY_ID, process.env.S3_SECRET_ACCESS_KEY);
const options = { address: "127.0.0.1", port: Number(port), directory, silent: true, vhostBuckets: false };
await new S3rver({ ...options, configureBuckets: [{ name }] }).run();
process.once("SIGTERM", () => process.exit(0));
