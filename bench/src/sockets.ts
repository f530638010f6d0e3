/**
 * The clients of the live benchmark, in a process of their own: opens sockets, subscribes each to one job, and reports
 * how old each event was on arrival. Arguments as JSON in argv[2]; the report as JSON on standard output.
 */
import { io } from "socket.io-client";

export interface SocketsTask {
  url: string;
  token: string;
  job_ids: number[];
  sockets: number;
  /** Until then it listens, ms since 1970. */
  until: number;
  /** `platform`: subscribe to a job and read envelopes; `bare`: the raw payload of the bare road. */
  road: "platform" | "bare";
}
export interface SocketsReport {
  connected: number;
  received: number;
  ages: number[];
}

/** Ages kept for the quantiles: every n-th, so that a million arrivals do not fill the memory. */
const KEEP = 200_000;
const now = () => performance.timeOrigin + performance.now();

const task = JSON.parse(process.argv[2] ?? "") as SocketsTask;
const report: SocketsReport = { connected: 0, received: 0, ages: [] };

function arrived(sent: unknown): void {
  const age = now() - Number(sent);
  if (Number.isNaN(age)) return;
  report.received++;
  if (report.ages.length < KEEP) report.ages.push(age);
  else report.ages[Math.floor(Math.random() * KEEP)] = age;
}

const sockets = Array.from({ length: task.sockets }, (_, index) => {
  const socket = io(task.url, { transports: ["websocket"], auth: { token: task.token }, forceNew: true });
  const job = task.job_ids[index % task.job_ids.length];
  socket.on("connect", () => {
    report.connected++;
    if (task.road === "platform") socket.emit("subscribe", `job:${job}`, () => undefined);
    else socket.emit("join", `job:${job}`);
  });
  if (task.road === "bare") socket.on("bare", arrived);
  else socket.on("job_event", (event) => event.type === "log" && arrived(event.data.message));
  return socket;
});

setTimeout(() => {
  for (const socket of sockets) socket.close();
  process.stdout.write(JSON.stringify(report), () => process.exit(0));
}, task.until - Date.now());
