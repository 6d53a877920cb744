// The digest as Markdown. Keys are whatever a process called itself: they are shown as code, which nothing gets out of.
import { interval } from "weir-plugin";
import { changed, events, lacks, quantiles, rank, type Entry } from "./fields.ts";

export function markdown(digest: readonly Entry[]): string {
  const last = interval.isLast() ? ", the last one" : "";
  const lines = [
    `# Interval ${interval.number()}${last}`,
    "",
    `From ${interval.date().toISOString()}, for ${interval.seconds().toFixed(3)} s.`,
    "",
    ...digest.flatMap(section),
  ];
  return lines.join("\n");
}

function section(entry: Entry): string[] {
  const { table, measure, keys, top, latencies, changes } = entry;
  const lines = [`## ${table}`, "", `- events: ${events(entry)}`, `- missing: ${lacks(entry)}`];
  for (const latency of latencies) lines.push(`- ${code(latency.name)}: ${quantiles(latency)}`);
  lines.push("");
  if (measure && top.length > 0) {
    lines.push(`| ${cell(measure.name)} | share | ${top.length} of ${keys} keys |`, "|---:|---:|---|");
    for (const ranked of top) {
      const [value, share, key] = rank(ranked, measure);
      lines.push(`| ${value} | ${share} | ${cell(key)} |`);
    }
    lines.push("");
  }
  if (measure && changes.length > 0) {
    lines.push("What changed most:", "");
    for (const change of changes) lines.push(`- ${code(change.key)}: ${changed(change, measure)}`);
    lines.push("");
  }
  return lines;
}

/** Control characters, spaces that are none, and what changes how others look. (This engine has no `\p{…}`.) */
const UNSEEN = new RegExp(
  "[\\0-\\x1f\\x7f-\\xa0\\xad\\u034f\\u061c\\u1680\\u180b-\\u180f\\u2000-\\u200f\\u2028-\\u202f\\u205f-\\u206f"
    + "\\u3000\\ud800-\\uf8ff\\ufe00-\\ufe0f\\ufeff\\ufff0-\\uffff\\u{e0000}-\\u{10ffff}]",
  "gu",
);

/** In a table a bar ends the cell, in code too. */
function cell(text: string): string {
  return code(text).replaceAll("|", "\\|");
}

/** On one line, with what cannot be seen written out, and between more backticks than it has itself. */
function code(text: string): string {
  if (text === "") return "(empty)";
  const seen = text.replace(UNSEEN, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`);
  const longest = Math.max(0, ...(seen.match(/`+/g) ?? []).map((run) => run.length));
  const fence = "`".repeat(longest + 1);
  // One space at each end is not shown, where there is one at both.
  const apart = longest > 0 || (seen.startsWith(" ") && seen.endsWith(" ")) ? " " : "";
  return fence + apart + seen + apart + fence;
}
