// A readable summary of an interval, of any tables: one report a table, and all of them in `digest.md`.
import { artefact, options, plugin, report, tables } from "weir-plugin";
import { compare, recall, remember } from "./changes.ts";
import { fields, title } from "./fields.ts";
import { markdown } from "./markdown.ts";
import { summarize } from "./summary.ts";

export const analysis = plugin({
  configure() {
    return { keys: within("keys", 1, 10, 5), changes: within("changes", 0, 5, 3) };
  },

  analyze(limits) {
    const summaries = tables().map(summarize);
    const before = recall();
    const digest = summaries.map((summary) => ({
      ...summary,
      top: summary.ranking.slice(0, limits.keys),
      changes: compare(summary, before).slice(0, limits.changes),
    }));
    for (const entry of digest) report("info", "digest", title(entry), fields(entry));
    artefact("digest.md", "text/markdown", markdown(digest));
    remember(summaries);
  },
});

/** An integer that the operator may set, within bounds. */
function within(name: string, least: number, most: number, usual: number): number {
  const value = options.integer(name) ?? usual;
  if (value < least || value > most) throw options.wrong(name, `${value}; ${least} to ${most} are possible`);
  return value;
}
