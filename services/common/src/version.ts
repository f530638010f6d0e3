/** The platform's version: of the services, of the images, in traces. */
import manifest from "../package.json" with { type: "json" };

export const PLATFORM_VERSION: string = manifest.version;
