import assert from "node:assert/strict";
import test from "node:test";
import { Integers } from "../sdk/integers.ts";

const MAX = 2n ** 64n - 1n;

/** Numbers without order, from a generator by Marsaglia (xorshift), and the edges. */
function numbers(length) {
  let state = 1n;
  const next = () => {
    state = BigInt.asUintN(64, state ^ (state << 13n));
    state ^= state >> 7n;
    state = BigInt.asUintN(64, state ^ (state << 17n));
    return state;
  };
  const edges = [0n, 1n, MAX, 2n ** 63n, 2n ** 53n + 1n, 2n ** 32n, 2n ** 32n - 1n];
  return BigUint64Array.from({ length }, (_, i) => (i % 5 ? next() : edges[i % edges.length]));
}

for (const length of [0, 1, 7, 8, 9, 333]) {
  test(`${length} values are as exact as bigints`, () => {
    const unsigned = numbers(length);
    const signed = new BigInt64Array(unsigned.buffer);
    for (const values of [unsigned, signed]) {
      const column = new Integers(values);
      const ascending = [...values].sort((a, b) => (a < b ? -1 : Number(a > b)));
      const wrap = values === signed ? BigInt.asIntN : BigInt.asUintN;
      assert.equal(column.sum(), wrap(64, ascending.reduce((a, b) => a + b, 0n)));
      assert.equal(column.min(), ascending[0]);
      assert.equal(column.max(), ascending.at(-1));
      assert.deepEqual([...column.numbers()], [...values].map(Number));
      assert.deepEqual([...column], [...values]);
      const before = (a, b) => (values[b] > values[a] ? 1 : values[b] === values[a] ? a - b : -1);
      const rows = [...values.keys()].sort(before);
      for (const count of [0, 1, 10, 99, 101, 1000]) assert.deepEqual(column.top(count), rows.slice(0, count));
      for (const row of values.keys()) assert.equal(column.number(row), Number(column.at(row)));
      assert.throws(() => column.at(length), RangeError);
      assert.throws(() => column.number(length), RangeError);
    }
  });
}

test("a long column is summed in parts that stay exact", () => {
  const values = new BigUint64Array(2 ** 21 + 3).fill(MAX);
  assert.equal(new Integers(values).sum(), BigInt.asUintN(64, MAX * BigInt(values.length)));
});
