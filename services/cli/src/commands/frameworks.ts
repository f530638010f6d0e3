/** frameworks list */
import { type Framework, listFrameworks } from "@vision-platform/contracts/api/models";
import type { Command } from "commander";
import { plain } from "../output/format.ts";
import { action, leaf } from "./action.ts";

export function registerFrameworks(frameworks: Command): void {
  leaf(frameworks.command("list"))
    .description("what trains here, what is off, and why")
    .action(
      action(async ({ output, session }) => {
        const { items } = await (await session()).call(listFrameworks, {});
        output.list(
          items,
          [
            { title: "framework", of: (one) => one.framework },
            { title: "state", of: stateOf },
            { title: "workers", of: (one) => one.workers, align: "right" },
            { title: "models", of: (one) => one.models, align: "right" },
            { title: "license", of: (one) => one.license },
            { title: "kinds", of: (one) => one.kinds.join(" ") },
            { title: "tasks", of: (one) => Object.keys(one.tasks).join(" ") },
          ],
          "no frameworks",
        );
        for (const { framework, enabled, notice } of items) {
          const off = enabled ? "" : ` Turn it on with ENABLED_FRAMEWORKS=${framework}.`;
          if (notice !== null || !enabled) output.note(`${framework}: ${plain(notice ?? "it is off.")}${off}`);
        }
        return undefined;
      }),
    );
}

function stateOf({ enabled, workers, kinds }: Framework): string {
  if (!enabled) return "off";
  return workers > 0 || kinds.length === 0 ? "on" : "on, no worker";
}
