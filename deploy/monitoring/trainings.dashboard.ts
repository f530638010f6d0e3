/** What waits, what runs, how it ends, and what the GPUs do meanwhile. */
import { alarm, type Dashboard, quantile } from "./dashboard.ts";

/** Every query of a framework can be narrowed to one. */
const CHOSEN = '{framework=~"$framework"}';

export const TRAININGS: Dashboard = {
  uid: "vision-platform-trainings",
  title: "Vision Platform: trainings and GPUs",
  description: "What waits, what runs, how it ends, and what the GPUs do meanwhile.",
  byFramework: true,
  rows: [
    {
      title: "Now",
      panels: [
        {
          kind: "stat",
          title: "Waiting",
          description: "Attempts that could start now.",
          queries: [[`sum(max by (framework) (vision_platform_attempts_waiting${CHOSEN}))`]],
          width: 4,
        },
        {
          kind: "stat",
          title: "Running",
          queries: [[`sum(max by (framework) (vision_platform_attempts_running${CHOSEN}))`]],
          width: 4,
        },
        {
          kind: "stat",
          title: "Longest wait",
          queries: [[`max(vision_platform_oldest_waiting_seconds${CHOSEN})`]],
          unit: "s",
          width: 4,
          steps: [
            ["green", null],
            ["orange", 600],
            ["red", 3600],
          ],
        },
        {
          kind: "stat",
          title: "Slots in use",
          queries: [[`sum(vision_platform_worker_slots_busy${CHOSEN}) / sum(vision_platform_worker_slots${CHOSEN})`]],
          unit: "percentunit",
          width: 4,
          max: 1,
        },
        {
          kind: "stat",
          title: "GPUs in use",
          description: "Mean of all GPUs.",
          queries: [[`avg(vision_platform_worker_gpu_utilization_ratio${CHOSEN})`]],
          unit: "percentunit",
          width: 4,
          max: 1,
        },
        {
          ...alarm(
            "Attempts about to be lost",
            "max(vision_platform_leases_near_expiry)",
            "Their worker does not renew its lease.",
          ),
          width: 4,
        },
      ],
    },
    {
      title: "Queue",
      panels: [
        {
          kind: "timeseries",
          title: "Waiting",
          description: "By framework.",
          queries: [[`max by (framework) (vision_platform_attempts_waiting${CHOSEN})`, "{{framework}}"]],
          stacked: true,
        },
        {
          kind: "timeseries",
          title: "Running",
          description: "By framework.",
          queries: [[`max by (framework) (vision_platform_attempts_running${CHOSEN})`, "{{framework}}"]],
          stacked: true,
        },
        {
          kind: "timeseries",
          title: "Longest wait",
          description: "By framework.",
          queries: [[`max by (framework) (vision_platform_oldest_waiting_seconds${CHOSEN})`, "{{framework}}"]],
          unit: "s",
        },
      ],
    },
    {
      title: "Workers",
      panels: [
        {
          kind: "timeseries",
          title: "Workers",
          description: "That are there and take jobs.",
          queries: [[`max by (framework) (vision_platform_workers${CHOSEN})`, "{{framework}}"]],
          width: 6,
        },
        {
          kind: "timeseries",
          title: "Slots",
          description: "Busy, and how many there are.",
          queries: [
            [`sum by (framework) (vision_platform_worker_slots_busy${CHOSEN})`, "{{framework}} busy"],
            [`sum by (framework) (vision_platform_worker_slots${CHOSEN})`, "{{framework}}"],
          ],
          width: 6,
        },
        {
          kind: "timeseries",
          title: "From the queue to the running trainer (95 %)",
          description: "Claim and launch; not the trainer's own start.",
          queries: [
            [quantile(0.95, "vision_platform_worker_launch_duration_seconds", ["framework"], CHOSEN), "{{framework}}"],
          ],
          unit: "s",
          width: 6,
        },
        {
          kind: "timeseries",
          title: "Free disk",
          description: "Where attempts keep their files.",
          queries: [
            [
              `vision_platform_worker_disk_free_bytes${CHOSEN} / vision_platform_worker_disk_size_bytes${CHOSEN}`,
              "{{framework}} {{instance}}",
            ],
          ],
          unit: "percentunit",
          width: 6,
          max: 1,
        },
      ],
    },
    {
      title: "How attempts end",
      panels: [
        {
          kind: "timeseries",
          title: "By outcome",
          description: "In the last hour, at each moment.",
          queries: [["sum by (outcome) (increase(vision_platform_attempts_ended_total[1h]))", "{{outcome}}"]],
          stacked: true,
        },
        {
          kind: "timeseries",
          title: "Failures by code",
          description: "In the last hour, at each moment. The codes are those of docs/trainer-contract.md.",
          queries: [['sum by (code) (increase(vision_platform_attempts_ended_total{code!=""}[1h])) > 0', "{{code}}"]],
          stacked: true,
        },
        {
          kind: "timeseries",
          title: "By worker",
          description: "Attempts that ended at workers of the framework, in the last hour.",
          queries: [
            [
              `sum by (framework, outcome) (increase(vision_platform_worker_attempts_total${CHOSEN}[1h]))`,
              "{{framework}} {{outcome}}",
            ],
          ],
          stacked: true,
        },
      ],
    },
    {
      title: "GPUs",
      panels: [
        {
          kind: "timeseries",
          title: "Use",
          description: "Of a GPU's processors.",
          queries: [[`vision_platform_worker_gpu_utilization_ratio${CHOSEN}`, "{{framework}} {{model}} {{gpu}}"]],
          unit: "percentunit",
          width: 12,
          max: 1,
        },
        {
          kind: "timeseries",
          title: "Memory",
          description: "Used of what there is.",
          queries: [
            [
              `vision_platform_worker_gpu_memory_used_bytes${CHOSEN} / vision_platform_worker_gpu_memory_bytes${CHOSEN}`,
              "{{framework}} {{model}} {{gpu}}",
            ],
          ],
          unit: "percentunit",
          width: 12,
          max: 1,
        },
      ],
    },
    {
      title: "What they say",
      panels: [
        {
          kind: "timeseries",
          title: "Events forwarded",
          description: "By workers, per second.",
          queries: [
            [
              `sum by (framework, source) (rate(vision_platform_worker_events_forwarded_total${CHOSEN}[$__rate_interval]))`,
              "{{framework}} {{source}}",
            ],
          ],
          unit: "ops",
        },
        {
          kind: "timeseries",
          title: "MLflow",
          description: "Trainings it has not been told of yet.",
          queries: [
            ["max(vision_platform_mlflow_untold_trainings)", "not told"],
            ["min(vision_platform_mlflow_up)", "answers"],
          ],
        },
        {
          kind: "logs",
          title: "Ends of attempts",
          description: "Needs Loki.",
          queries: [
            [
              '{service="worker"} | json | message="attempt ended" | framework=~"$framework|" | line_format "job {{.job_id}} attempt {{.attempt}}: {{.outcome}} {{.code}}"',
            ],
          ],
        },
      ],
    },
  ],
};
