/** On a terminal: one bar that stays at the bottom, with the news above it. */
import cliProgress from "cli-progress";
import { duration, figure } from "../output/format.ts";
import type { Output } from "../output/output.ts";
import type { JobView } from "./job-view.ts";
import { newsOf } from "./news.ts";
import type { Screen } from "./screen.ts";

/** The text right of the bar: as much as fits is drawn by the terminal. */
export function barText(view: JobView): string {
  // Only a training has epochs to tell of; while it downloads or uploads, that is what it does.
  const isTraining = view.epochs !== undefined && (view.phase === "training" || view.phase === "evaluating");
  const epoch = isTraining ? `epoch ${view.epoch ?? 0}/${view.epochs}` : (view.phase ?? view.state.toLowerCase());
  const parts = [
    epoch,
    view.loss === undefined ? "" : `loss ${figure(view.loss)}`,
    view.accuracy === undefined ? "" : `${view.accuracy_name ?? "accuracy"} ${figure(view.accuracy)}`,
    view.samples_per_s ? `${figure(Math.round(view.samples_per_s))}/s` : "",
    typeof view.eta_s === "number" ? `ETA ${duration(view.eta_s)}` : "",
  ];
  return parts.filter((part) => part !== "").join("  ");
}

export function barScreen(output: Output, first: JobView): Screen {
  const bars = new cliProgress.MultiBar(
    {
      format: "{bar} {percent} %  {text}",
      barsize: 24,
      hideCursor: true,
      clearOnComplete: true,
      fps: 8,
    },
    cliProgress.Presets.shades_classic,
  );
  const bar = bars.create(100, 0, { text: barText(first), percent: 0 });
  const draw = (view: JobView) =>
    bar.update(Math.min(100, view.pct ?? 0), { text: barText(view), percent: Math.floor(view.pct ?? 0) });
  draw(first);
  return {
    show(view, before, event) {
      const news = newsOf(view, before, event);
      if (news !== undefined) bars.log(`${news}\n`);
      draw(view);
    },
    say: (text) => bars.log(`${text}\n`),
    end() {
      bars.stop();
      output.note("");
    },
  };
}
