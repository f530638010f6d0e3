/** For whatever Node runs of this source as it is. */
export const NODE_OPTIONS = ["--disable-warning=ExperimentalWarning"];

/**
 * How Node is started for every service. The services keep little alive for long, so the small young generation saves
 * about 40 MB of each; measured by `./vp bench memory` and `submit`.
 */
export const SERVICE_NODE_OPTIONS = [...NODE_OPTIONS, "--max-semi-space-size=2"];
