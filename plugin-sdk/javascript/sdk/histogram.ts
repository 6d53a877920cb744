import type { Buckets as Page } from "weir:plugin/types@0.1.0";
import { total } from "./text.ts";

/** How many values v were seen with `low <= v < high`; no `high` in the last bucket there can be. */
export interface Bucket {
  readonly low: number;
  readonly high: number | undefined;
  readonly count: bigint;
}

/** One histogram: a row's, or several rows' added up. */
export class Histogram {
  /** The buckets that are not empty, from low to high. */
  readonly buckets: readonly Bucket[];
  /** How many values there are. Those that found no room for a bucket are in none. */
  readonly count: bigint;
  /** The sum of the values. */
  readonly sum: number;

  constructor(buckets: readonly Bucket[], count: bigint, sum: number) {
    this.buckets = buckets;
    this.count = count;
    this.sum = sum;
  }

  /**
   * The bucket of the smallest value that at least this share (0 to 1) of the values with a bucket does not exceed; none
   * if there are none. `quantile(0.99)` is where the 99th percentile is.
   */
  quantile(share: number): Bucket | undefined {
    const values = this.buckets.reduce((sum, { count }) => sum + count, 0n);
    const rank = Math.min(Math.max(Math.ceil(Number(values) * share), 1), Number(values));
    let seen = 0n;
    return this.buckets.find(({ count }) => Number((seen += count)) >= rank);
  }

  /** All of them added up, whichever rows, tables or intervals they are of. */
  static merged(histograms: Iterable<Histogram>): Histogram {
    const buckets = new Map<number, Bucket>();
    let [count, sum] = [0n, 0];
    for (const histogram of histograms) {
      count += histogram.count;
      sum += histogram.sum;
      for (const bucket of histogram.buckets) {
        const before = buckets.get(bucket.low)?.count ?? 0n;
        buckets.set(bucket.low, { ...bucket, count: before + bucket.count });
      }
    }
    return new Histogram([...buckets.values()].sort((one, other) => one.low - other.low), count, sum);
  }

  toString(): string {
    return `${this.count} values`;
  }
}

/**
 * A column of histograms. `Histogram.merged` adds all of them up; where there are many, a question does so faster:
 * `table.groupBy().sum("latency").ask()` has one row with one histogram, `sum(latency)`.
 */
export class Histograms implements Iterable<Histogram> {
  readonly #page: Page;

  constructor(page: Page) {
    this.#page = page;
  }

  get length(): number {
    return this.#page.sums.length;
  }

  /** The histogram of a row. */
  at(row: number): Histogram {
    const { offsets, counts, sums, totals } = this.#page;
    if (!(row >= 0 && row < sums.length)) throw new RangeError(`there is no row ${row} of ${sums.length}`);
    const buckets: Bucket[] = [];
    for (let entry = offsets[row]!; entry < offsets[row + 1]!; entry += 1) {
      buckets.push(this.#bucket(this.#page.bucket[entry]!, counts[entry]!));
    }
    return new Histogram(buckets, totals[row]!, sums[row]!);
  }

  #bucket(number: number, count: bigint): Bucket {
    const { lower } = this.#page;
    const high = lower[number + 1] ?? Infinity;
    return { low: lower[number]!, high: high === Infinity ? undefined : high, count };
  }

  *[Symbol.iterator](): Generator<Histogram> {
    for (let row = 0; row < this.length; row += 1) yield this.at(row);
  }
}

/** Pages as one: a page's bounds follow those before it, after an infinite one, which ends the bucket that was open. */
export function joinBuckets(pages: readonly Page[]): Page {
  const entries = total(pages, (page) => page.counts.length);
  const rows = total(pages, (page) => page.sums.length);
  const joined = {
    lower: new Float64Array(total(pages, (page) => page.lower.length + 1)),
    offsets: new Uint32Array(rows + 1),
    bucket: new Uint32Array(entries),
    counts: new BigUint64Array(entries),
    sums: new Float64Array(rows),
    totals: new BigUint64Array(rows),
  };
  let bound = 0;
  let row = 0;
  let entry = 0;
  for (const page of pages) {
    joined.lower.set(page.lower, bound);
    joined.lower[bound + page.lower.length] = Infinity;
    joined.offsets.set(page.offsets.subarray(1).map((offset) => offset + entry), row + 1);
    joined.bucket.set(page.bucket.map((bucket) => bucket + bound), entry);
    joined.counts.set(page.counts, entry);
    joined.sums.set(page.sums, row);
    joined.totals.set(page.totals, row);
    bound += page.lower.length + 1;
    row += page.sums.length;
    entry += page.counts.length;
  }
  return joined;
}
