// An entry of the digest, as a report.
import { interval, type Bucket } from "weir-plugin";
import type { Change, Rate } from "./changes.ts";
import { amount, brief, percent, perSecond } from "./format.ts";
import { missing, type Latency, type Measure, type Ranked, type Summary } from "./summary.ts";

/** A summary, and as much of it as is to be shown. */
export interface Entry extends Summary {
  readonly top: readonly Ranked[];
  readonly changes: readonly Change[];
}

const QUANTILES = [["p50", 0.5], ["p90", 0.9], ["p99", 0.99]] as const;

export function title({ table, coverage, measure, keys, top }: Entry): string {
  if (coverage.events === 0n) return `${table}: nothing in this interval`;
  const events = `${table}: ${coverage.events} ${coverage.events === 1n ? "event" : "events"}`;
  if (!measure || top.length === 0) return events;
  const shown = top.reduce((sum, { value }) => sum + value, 0n);
  const who = keys === 1 ? "its only key has" : `${top.length} of ${keys} keys have`;
  return `${events}, ${who} ${percent(shown, measure.total)} of ${measure.name}`;
}

/** Pairs: an object would put names that are numbers first. */
export function fields(entry: Entry): [name: string, value: string][] {
  const { measure, top, latencies, changes } = entry;
  return [
    ["events", events(entry)],
    ["missing", lacks(entry)],
    ...top.map((ranked, i): [string, string] => [`top ${i + 1}`, rank(ranked, measure!).join("  ")]),
    ...latencies.map((latency): [string, string] => [latency.name, quantiles(latency)]),
    ...changes.map((change, i): [string, string] => [
      `change ${i + 1}`,
      `${changed(change, measure!)}  ${change.key}`,
    ]),
  ];
}

export function events({ coverage: { events } }: Entry): string {
  const seconds = interval.seconds();
  return seconds > 0 ? `${events}, ${perSecond(Number(events) / seconds, "")}` : `${events}`;
}

export function lacks({ coverage }: Entry): string {
  return missing(coverage).join("; ") || "nothing";
}

export function rank({ key, value }: Ranked, { unit, total }: Measure): [value: string, share: string, key: string] {
  return [amount(value, unit), percent(value, total), brief(key)];
}

/** `p50 below 4.1 us`, and so on: a histogram knows of a value which bucket it is in. */
export function quantiles({ histogram, unit }: Latency): string {
  if (histogram.count === 0n) return "no values";
  const placed = histogram.buckets.reduce((sum, { count }) => sum + count, 0n);
  if (placed === 0n) return `not known, for none of ${histogram.count} values found a bucket`;
  const each = QUANTILES.map(([name, share]) => `${name} ${bound(histogram.quantile(share)!, unit)}`);
  const lost = histogram.count - placed;
  return `${each.join(", ")} of ${placed} values${lost > 0n ? `, and ${lost} found no bucket` : ""}`;
}

function bound(bucket: Bucket, unit: string): string {
  return bucket.high === undefined ? `${amount(bucket.low, unit)} or more` : `below ${amount(bucket.high, unit)}`;
}

export function changed({ is, was, since }: Change, { unit }: Measure): string {
  const print = ({ value, atMost }: Rate) => `${atMost ? "at most " : ""}${perSecond(value, unit)}`;
  return `${print(was)} in interval ${since}, now ${print(is)}`;
}
