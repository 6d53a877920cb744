// What is to be told of a table, all of it asked of the host.
import { col, interval, type Column, type Coverage, type Histogram, type Table } from "weir-plugin";

export interface Summary {
  readonly table: string;
  readonly coverage: Coverage;
  /** How many rows there are, but for the overflow row. */
  readonly keys: number;
  /** Of the counts and sums that with the biggest total; none if nothing adds up. */
  readonly measure: Measure | undefined;
  /** The keys with the most of it, the first first. */
  readonly ranking: readonly Ranked[];
  /** What a key that is not among them has at most: it may be in the overflow row. */
  readonly rest: bigint;
  readonly latencies: readonly Latency[];
}

export interface Measure {
  readonly name: string;
  readonly unit: string;
  /** Over all rows, the overflow row included: shares never look bigger than they are. */
  readonly total: bigint;
}

export interface Ranked {
  readonly key: string;
  readonly value: bigint;
}

/** A histogram, all rows together. */
export interface Latency {
  readonly name: string;
  readonly unit: string;
  readonly histogram: Histogram;
}

/** As many keys are looked at, to see what changed. */
export const RANKED = 100;
/** A report has room for so many. */
const HISTOGRAMS = 10;

export function summarize(table: Table): Summary {
  const measure = biggest(table);
  const ranked = measure ? rank(table, measure) : [];
  const lost = measure ? overflow(table, measure) : undefined;
  const next = ranked[RANKED]?.value ?? 0n;
  return {
    table: table.name,
    coverage: table.coverage(),
    keys: table.length - (lost === undefined ? 0 : 1),
    measure,
    ranking: ranked.slice(0, RANKED),
    rest: lost !== undefined && lost > next ? lost : next,
    latencies: table.columns
      .filter(({ kind }) => kind === "buckets")
      .slice(0, HISTOGRAMS)
      .map((column) => merge(table, column)),
  };
}

/** Where a value is negative, a share of the total would mean nothing. */
function biggest(table: Table): Measure | undefined {
  const adds = ({ role, kind }: Column) => ["count", "sum"].includes(role) && ["u64", "s64"].includes(kind);
  let found: Measure | undefined;
  for (const { name, unit } of table.columns.filter(adds)) {
    const [all] = table.groupBy().sum(name).min(name).ask();
    const total = all!.value(`sum(${name})`) as bigint;
    const least = all!.value(`min(${name})`) as bigint;
    if (least >= 0n && (!found || total > found.total)) found = { name, unit, total };
  }
  return found;
}

/** The overflow row is left out: its keys mean nothing. One more than are shown tells what the others have at most. */
function rank(table: Table, { name }: Measure): Ranked[] {
  const ranked = table.filter(col("overflow").eq(0)).sortDesc(name).limit(RANKED + 1).ask();
  return Array.from(ranked, (row) => ({ key: row.key(), value: row.value(name) as bigint }));
}

/** What the overflow row has of a measure, if there is one. */
function overflow(table: Table, { name }: Measure): bigint | undefined {
  const [row] = table.filter(col("overflow").ne(0)).ask();
  return row && (row.value(name) as bigint);
}

function merge(table: Table, { name, unit }: Column): Latency {
  const [all] = table.groupBy().sum(name).ask();
  return { name, unit, histogram: all!.histogram(`sum(${name})`) };
}

/** What the figures of a table do not contain; nothing if they are complete. */
export function missing({ events, overflow, missed }: Coverage): string[] {
  const what: string[] = [];
  if (overflow > 0) what.push(`${overflow} of ${events} events found no row of their own`);
  if (missed === undefined) what.push("what the kernel skipped, which this one does not tell");
  else if (missed > 0) what.push(`${missed} ${missed === 1n ? "event" : "events"}, skipped by the kernel`);
  const skipped = interval.skipped();
  if (skipped > 0) what.push(`${skipped} ${skipped === 1 ? "interval" : "intervals"} before this one`);
  return what;
}
