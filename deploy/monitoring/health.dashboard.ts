/** Do the services work, do they keep up, is anything about to be lost? */
import { alarm, type Dashboard, quantile } from "./dashboard.ts";

export const HEALTH: Dashboard = {
  uid: "vision-platform-health",
  title: "Vision Platform: health",
  description: "Do the services work, do they keep up, is anything about to be lost? One look from top to bottom.",
  byFramework: false,
  rows: [
    {
      title: "Now",
      panels: [
        {
          kind: "stat",
          title: "Services that answer",
          description: "How many of each kind answer Prometheus.",
          queries: [['sum by (job) (up{job=~"gateway|notifier|worker"})', "{{job}}"]],
          width: 6,
        },
        {
          ...alarm(
            "Parts away",
            "count(vision_platform_ready == 0) or vector(0)",
            "Parts that a service needs and cannot use now. The reason is on its /ready.",
          ),
          width: 4,
        },
        { ...alarm("Alerts firing", 'count(ALERTS{alertstate="firing", severity!="info"}) or vector(0)'), width: 4 },
        {
          kind: "stat",
          title: "Jobs",
          description: "Of all time, by state.",
          queries: [["max by (state) (vision_platform_jobs)", "{{state}}"]],
          width: 10,
        },
      ],
    },
    {
      title: "Requests",
      panels: [
        {
          kind: "timeseries",
          title: "Requests per second",
          queries: [["sum by (status) (rate(http_request_duration_seconds_count[$__rate_interval]))", "{{status}}"]],
          unit: "reqps",
          stacked: true,
        },
        {
          kind: "timeseries",
          title: "How long people wait",
          description: "Time to the whole answer, without workers and trainers.",
          queries: [
            [quantile(0.5, "http_request_duration_seconds", [], '{route=~"/api/.*"}'), "median"],
            [quantile(0.95, "http_request_duration_seconds", [], '{route=~"/api/.*"}'), "95 %"],
            [quantile(0.99, "http_request_duration_seconds", [], '{route=~"/api/.*"}'), "99 %"],
          ],
          unit: "s",
        },
        {
          kind: "timeseries",
          title: "Slowest routes (95 %)",
          queries: [[`topk(8, ${quantile(0.95, "http_request_duration_seconds", ["route"])})`, "{{route}}"]],
          unit: "s",
        },
      ],
    },
    {
      title: "Events: trainer → Postgres → Redis → browser",
      panels: [
        {
          kind: "timeseries",
          title: "Events per second",
          description: "Stored by gateways; read by notifiers.",
          queries: [
            ["sum by (source) (rate(vision_platform_events_stored_total[$__rate_interval]))", "stored, {{source}}"],
            ["max(rate(vision_platform_live_events_received_total[$__rate_interval]))", "at a notifier"],
          ],
          unit: "ops",
          width: 6,
        },
        {
          kind: "timeseries",
          title: "Trainer to Postgres",
          description: "From the newest event of a batch to its storing.",
          queries: [
            [quantile(0.5, "vision_platform_event_delay_seconds", ["source"]), "median, {{source}}"],
            [quantile(0.95, "vision_platform_event_delay_seconds", ["source"]), "95 %, {{source}}"],
          ],
          unit: "s",
          width: 6,
        },
        {
          kind: "timeseries",
          title: "Postgres to Redis",
          description: "And, in events per second, what Redis did not take.",
          queries: [
            [quantile(0.99, "vision_platform_event_publish_duration_seconds"), "99 %"],
            ["sum(rate(vision_platform_events_unpublished_total[$__rate_interval]))", "not taken, per second"],
          ],
          unit: "s",
          width: 6,
        },
        {
          kind: "timeseries",
          title: "Redis to notifier",
          queries: [
            [quantile(0.5, "vision_platform_live_lag_seconds"), "median"],
            [quantile(0.99, "vision_platform_live_lag_seconds"), "99 %"],
          ],
          unit: "s",
          width: 6,
        },
      ],
    },
    {
      title: "Live clients",
      panels: [
        {
          kind: "timeseries",
          title: "Sockets",
          queries: [
            ["sum(vision_platform_live_sockets)", "connected"],
            ["sum(vision_platform_live_stalled_sockets)", "do not keep up"],
            ["sum(vision_platform_live_feeds)", "jobs watched"],
          ],
        },
        {
          kind: "timeseries",
          title: "Slow clients let go",
          queries: [["sum(increase(vision_platform_live_slow_sockets_ended_total[$__rate_interval]))", "let go"]],
        },
        {
          kind: "timeseries",
          title: "Reconciler",
          description: "Seconds since it last looked; attempts it put back into their queues.",
          queries: [
            ["time() - max(vision_platform_reconciler_last_success_timestamp_seconds)", "since the last look"],
            ["sum(increase(vision_platform_attempts_requeued_total[$__rate_interval]))", "put back"],
          ],
        },
      ],
    },
    {
      title: "Redis and processes",
      panels: [
        {
          kind: "timeseries",
          title: "Redis' memory",
          queries: [
            ["max(vision_platform_redis_memory_used_bytes)", "used"],
            ["max(vision_platform_redis_memory_limit_bytes) > 0", "limit"],
          ],
          unit: "bytes",
          width: 6,
        },
        {
          kind: "stat",
          title: "Redis",
          description: "All three must be 1: it answers, it drops nothing, it keeps its file.",
          queries: [
            ["min(vision_platform_redis_up)", "answers"],
            ["min(vision_platform_redis_noeviction)", "drops nothing"],
            ["min(vision_platform_redis_append_only)", "keeps its file"],
          ],
          width: 6,
          steps: [
            ["red", null],
            ["green", 1],
          ],
        },
        {
          kind: "timeseries",
          title: "Memory of services",
          queries: [["max by (service, framework) (process_resident_memory_bytes)", "{{service}} {{framework}}"]],
          unit: "bytes",
          width: 6,
        },
        {
          kind: "timeseries",
          title: "Turns of services (99 %)",
          description: "A service whose own turns take long is late with everything.",
          queries: [["max by (service, framework) (nodejs_eventloop_lag_p99_seconds)", "{{service}} {{framework}}"]],
          unit: "s",
          width: 6,
        },
      ],
    },
    {
      title: "Logs",
      panels: [
        {
          kind: "logs",
          title: "Warnings and errors",
          description: "Needs Loki. Click a line for its trace_id.",
          queries: [
            [
              '{level=~"warning|error", service=~"gateway|notifier|worker|docker-agent"} | json | line_format "{{.service}} {{.message}} {{.error}}"',
            ],
          ],
          width: 24,
          height: 9,
        },
      ],
    },
  ],
};
