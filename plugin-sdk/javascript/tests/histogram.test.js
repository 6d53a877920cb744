import assert from "node:assert/strict";
import test from "node:test";
import { Histogram, Histograms, joinBuckets } from "../sdk/histogram.ts";

/** Powers of two from `from` on; rows of pairs of bucket and count; one value a row found no bucket. */
function page(from, ...rows) {
  const entries = rows.flat();
  return {
    lower: Float64Array.from([from, from * 2, from * 4]),
    offsets: Uint32Array.from(rows.reduce((ends, row) => [...ends, ends.at(-1) + row.length], [0])),
    bucket: Uint32Array.from(entries, ([bucket]) => bucket),
    counts: BigUint64Array.from(entries, ([, count]) => count),
    sums: Float64Array.from(rows, () => 0.5),
    totals: BigUint64Array.from(rows, (row) => row.reduce((sum, [, count]) => sum + count, 1n)),
  };
}

test("a row has its buckets, the last one open", () => {
  const histogram = new Histograms(page(8, [[0, 3n], [2, 5n]])).at(0);
  assert.deepEqual(histogram.buckets, [
    { low: 8, high: 16, count: 3n },
    { low: 32, high: undefined, count: 5n },
  ]);
  assert.equal(histogram.count, 9n);
  assert.equal(String(histogram), "9 values");
});

test("pages are joined, each with bounds of its own", () => {
  const joined = new Histograms(joinBuckets([page(8, [[2, 1n]], []), page(1, [[0, 2n], [1, 3n]])]));
  const buckets = [...joined].map((histogram) => histogram.buckets);
  assert.deepEqual(buckets, [
    [{ low: 32, high: undefined, count: 1n }],
    [],
    [{ low: 1, high: 2, count: 2n }, { low: 2, high: 4, count: 3n }],
  ]);
  assert.throws(() => joined.at(3), RangeError);
});

test("a quantile is in a bucket, if there is any", () => {
  const [histogram, none] = new Histograms(page(8, [[0, 50n], [1, 50n]], [])); // And one without a bucket in each.
  assert.equal(histogram.quantile(0.01).low, 8);
  assert.equal(histogram.quantile(0.5).low, 8);
  assert.equal(histogram.quantile(0.51).low, 16);
  assert.equal(histogram.quantile(0.99).low, 16);
  assert.equal(histogram.quantile(1).low, 16);
  assert.equal(histogram.quantile(0).low, 8);
  assert.equal(none.quantile(0.5), undefined);
});

test("histograms add up, also of pages with other bounds", () => {
  const rows = [...new Histograms(page(8, [[0, 3n], [2, 1n]], [])), ...new Histograms(page(4, [[0, 2n], [1, 5n]]))];
  const merged = Histogram.merged(rows);
  assert.deepEqual(merged.buckets, [
    { low: 4, high: 8, count: 2n },
    { low: 8, high: 16, count: 8n },
    { low: 32, high: undefined, count: 1n },
  ]);
  assert.deepEqual([merged.count, merged.sum], [14n, 1.5]);
  assert.deepEqual(Histogram.merged([]), new Histogram([], 0n, 0));
});
