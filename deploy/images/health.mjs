// Of the images' HEALTHCHECK: does the service in this container live?
// biome-ignore lint/style/noProcessEnv: it runs beside the service, in the same environment.
const { PORT, HOST = "0.0.0.0" } = process.env;
const here = { "0.0.0.0": "127.0.0.1", "::": "[::1]" };
const answer = await fetch(`http://${here[HOST] ?? HOST}:${PORT}/health`).catch(() => undefined);
process.exit(answer?.ok ? 0 : 1);
