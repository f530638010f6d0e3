/** Who connects: the token of the handshake is checked once, and ends the connection when it expires. */
import { AppError } from "@vision-platform/common/app-error";
import type { GatewayPort } from "../gateway.ts";
import type { LiveServer, LiveSocket } from "./server.ts";

const MAX_TOKEN_LENGTH = 4096;
/** setTimeout knows no longer waits (2^31 - 1 ms). */
const MAX_WAIT_MS = 2_147_483_647;

/** The refusal a client sees in `connect_error`: a sentence, and `data.code` to decide by. */
function refusal(code: "unauthorized" | "unavailable", sentence: string): Error {
  return Object.assign(new Error(sentence), { data: { code } });
}

export function requireToken(io: LiveServer, gateway: GatewayPort): void {
  io.use(async (socket, next) => {
    const token: unknown = socket.handshake.auth.token;
    if (typeof token !== "string" || token === "" || token.length > MAX_TOKEN_LENGTH) {
      return next(refusal("unauthorized", "give an access token or an API key as auth.token"));
    }
    try {
      const identity = await gateway.identify(token);
      socket.data.userId = identity.user_id;
      socket.data.expiresAt = identity.expires_at === null ? null : Date.parse(identity.expires_at);
      next();
    } catch (error) {
      const isRefused = error instanceof AppError && error.status < 500;
      next(
        isRefused
          ? refusal("unauthorized", error.message)
          : refusal("unavailable", "the gateway does not answer, try again"),
      );
    }
  });
}

/** Calls `onExpiry` when the socket's token has run out; never for one that lasts until revoked. */
export function watchExpiry(socket: LiveSocket, onExpiry: () => void): void {
  const { expiresAt } = socket.data;
  if (expiresAt === null) return;
  let timer: NodeJS.Timeout;
  const wait = () => {
    const left = expiresAt - Date.now();
    if (left <= 0) return onExpiry();
    timer = setTimeout(wait, Math.min(left, MAX_WAIT_MS));
    timer.unref();
  };
  wait();
  socket.on("disconnect", () => clearTimeout(timer));
}
