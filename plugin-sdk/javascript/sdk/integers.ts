/**
 * Columns of 64-bit integers, exact and yet fast.
 *
 * A JavaScript number is exact up to 2^53, a bigint always, but every bigint that a loop touches is made anew. What is
 * here looks at the two 32-bit halves of a value instead, or lets the engine sort, which takes the time of native code.
 */

const HALF = 2 ** 32;
/** So many halves can be added up as numbers: 2^20 of them stay below 2^53. */
const EXACT = 2 ** 20;
/** Beyond it, what looks for one row after the other takes longer than to sort them all. */
const FEW = 100;

/** A whole column, or a page of one. `values` are the integers themselves. */
export class Integers<A extends BigUint64Array | BigInt64Array = BigUint64Array | BigInt64Array>
  implements Iterable<bigint>
{
  readonly values: A;
  /** The values' bits: of row `i` the lower half at `2 * i`, the upper one (signed in a column of `s64`) after it. */
  readonly halves: Uint32Array;
  #sorted: A | undefined;

  constructor(values: A) {
    this.values = values;
    this.halves = new Uint32Array(values.buffer, values.byteOffset, values.length * 2);
  }

  get length(): number {
    return this.values.length;
  }

  /** The value of a row. */
  at(row: number): bigint {
    const value = this.values[row];
    if (value === undefined) throw new RangeError(`there is no row ${row} of ${this.length}`);
    return value;
  }

  /** The value of a row, rounded above 2^53. */
  number(row: number): number {
    const high = this.halves[2 * row + 1];
    if (high === undefined) throw new RangeError(`there is no row ${row} of ${this.length}`);
    return (this.#signed ? high | 0 : high) * HALF + this.halves[2 * row]!;
  }

  /** All values, rounded above 2^53. */
  numbers(): Float64Array {
    const { halves } = this;
    const signed = this.#signed;
    const numbers = new Float64Array(this.length);
    for (let row = 0, half = 0; row < numbers.length; row += 1, half += 2) {
      const high = halves[half + 1]!;
      numbers[row] = (signed ? high | 0 : high) * HALF + halves[half]!;
    }
    return numbers;
  }

  /** The sum of all values, modulo 2^64, as the host's. */
  sum(): bigint {
    let sum = 0n;
    for (let from = 0; from < this.halves.length; from += 2 * EXACT) {
      sum += sumOf(this.halves.subarray(from, from + 2 * EXACT));
    }
    return this.#signed ? BigInt.asIntN(64, sum) : BigInt.asUintN(64, sum);
  }

  /** The least value; none of no rows. */
  min(): bigint | undefined {
    return this.sorted()[0];
  }

  /** The greatest value; none of no rows. */
  max(): bigint | undefined {
    return this.sorted()[this.length - 1];
  }

  /** The values in ascending order: a median is `sorted()[length >> 1]`. */
  sorted(): A {
    return (this.#sorted ??= this.values.slice().sort() as A);
  }

  /** The rows with the greatest values, the greatest first; of equal ones the row that comes first. */
  top(count: number): number[] {
    if (count > FEW) return this.#ranked().slice(0, count);
    const sorted = this.sorted();
    const rows: number[] = [];
    for (let place = sorted.length - 1; place >= 0 && rows.length < count; place -= 1) {
      const again = sorted[place] === sorted[place + 1];
      rows.push(this.#find(sorted[place]!, again ? rows[rows.length - 1]! + 1 : 0));
    }
    return rows;
  }

  /** All rows, that with the greatest value first. */
  #ranked(): number[] {
    const { values } = this;
    const compare = (a: number, b: number) => (values[a]! < values[b]! ? 1 : values[a] === values[b] ? a - b : -1);
    return Array.from(values, (_, row) => row).sort(compare);
  }

  #find(value: bigint, from: number): number {
    return (this.values as BigUint64Array).indexOf(value, from);
  }

  get #signed(): boolean {
    return this.values instanceof BigInt64Array;
  }

  [Symbol.iterator](): Iterator<bigint> {
    return this.values[Symbol.iterator]();
  }
}

/** Of at most `EXACT` values. Eight in a turn, because what a loop does besides costs most in an interpreter. */
function sumOf(halves: Uint32Array): bigint {
  let low = 0;
  let high = 0;
  const end = halves.length - (halves.length % 16);
  for (let i = 0; i < end; i += 16) {
    low += halves[i]! + halves[i + 2]! + halves[i + 4]! + halves[i + 6]!
      + halves[i + 8]! + halves[i + 10]! + halves[i + 12]! + halves[i + 14]!;
    high += halves[i + 1]! + halves[i + 3]! + halves[i + 5]! + halves[i + 7]!
      + halves[i + 9]! + halves[i + 11]! + halves[i + 13]! + halves[i + 15]!;
  }
  for (let i = end; i < halves.length; i += 2) {
    low += halves[i]!;
    high += halves[i + 1]!;
  }
  return BigInt(low) + (BigInt(high) << 32n);
}
