/** A request as anybody could write it who reaches the agent's socket. */
import { request } from "node:http";

export interface RawRequest {
  method?: string;
  path: string;
  /** JSON, unless it is text already. */
  body?: unknown;
  headers?: Record<string, string>;
}

/** Status and text of the answer. Rejects when the agent closes the connection without one. */
export function rawRequest(
  socketPath: string,
  { method = "GET", path, body, headers = {} }: RawRequest,
): Promise<{ status: number; text: string }> {
  const content = typeof body === "string" || body === undefined ? body : JSON.stringify(body);
  const type: Record<string, string> = content === undefined ? {} : { "content-type": "application/json" };
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, method, path, headers: { ...type, ...headers } }, async (response) => {
      try {
        let text = "";
        for await (const chunk of response.setEncoding("utf8")) text += chunk;
        resolve({ status: response.statusCode ?? 0, text });
      } catch (error) {
        reject(error);
      }
    });
    asked.on("error", reject);
    asked.end(content);
  });
}
