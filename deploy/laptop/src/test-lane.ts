// vitest setupFile: gives a test file the Redis of the lane it runs in.
import { publishEnvironment, wholeEnvironment } from "./config.ts";

const { TEST_REDIS_URLS = "", VITEST_POOL_ID = "1" } = wholeEnvironment();
const own = TEST_REDIS_URLS.split(" ")[Number(VITEST_POOL_ID) - 1];
if (!own) throw new Error(`lane ${VITEST_POOL_ID} has no Redis: more test files run at once than there are servers`);
publishEnvironment({ TEST_REDIS_URL: own });
