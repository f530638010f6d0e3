/** Without a terminal: a line for what changes, and a sign of life during long epochs. */
import type { Output } from "../output/output.ts";
import { epochLine, newsOf } from "./news.ts";
import type { Screen } from "./screen.ts";

const SIGN_OF_LIFE_MS = 15_000;

export function lineScreen(output: Output, now: () => number = Date.now): Screen {
  let lastLine = now();
  const print = (text: string) => {
    output.line(text);
    lastLine = now();
  };
  return {
    show(view, before, event) {
      const news = newsOf(view, before, event);
      if (news !== undefined) print(news);
      else if (event.type === "progress" && now() - lastLine >= SIGN_OF_LIFE_MS)
        print(`${epochLine(view)}  ${Math.floor(view.pct ?? 0)} %`);
    },
    say: print,
    end: () => undefined,
  };
}
