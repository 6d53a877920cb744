/** Tables: what was granted, and what questions give. */

import * as host from "weir:plugin/tables@0.1.0";
import { ask, Failure } from "./failure.ts";
import { Histograms, joinBuckets } from "./histogram.ts";
import { Integers } from "./integers.ts";
import { type Condition, Question } from "./question.ts";
import { type Row, rows } from "./row.ts";
import { joinTexts, Texts, total } from "./text.ts";

export type Column = Readonly<host.Column>;
export type Coverage = Readonly<host.Coverage>;

/** The tables that were granted, in the order of the grant. */
export function tables(): Table[] {
  return host.names().map((name, number) => new Table(number, name));
}

/** The granted table of this name. Throws `unknown`, with the names that there are. */
export function table(name: string): Table {
  const names = host.names();
  const number = names.indexOf(name);
  if (number < 0) throw unknown(`table ${name}`, names);
  return new Table(number, name);
}

/** Says what there is in place of what there is not. */
function unknown(what: string, known: readonly string[]): Failure {
  return new Failure("unknown", `there is no ${what}; there is ${known.join(", ")}`);
}

/** A table: one that was granted, or the answer to a question. To go through it is to go through its rows. */
export class Table implements Iterable<Row> {
  /** What the host calls it. */
  readonly number: number;
  /** The name of the granted table, also of what was derived from it. */
  readonly name: string;
  readonly columns: readonly Column[];
  /** How many rows there are, the overflow row included. */
  readonly length: number;

  constructor(number: number, name: string) {
    this.number = number;
    this.name = name;
    this.columns = ask(() => host.columns(number));
    this.length = ask(() => host.rows(number));
  }

  /** The place of the column of this name. Throws `unknown`, with the names that there are. */
  find(name: string): number {
    const place = this.columns.findIndex((column) => column.name === name);
    if (place < 0) throw unknown(`column ${name} in table ${this.name}`, this.columns.map((column) => column.name));
    return place;
  }

  /** How complete the granted table is. */
  coverage(): Coverage {
    return ask(() => host.covered(this.number));
  }

  /**
   * A whole column of the kind `u64`, or `count` rows of it from row `first` on. It and those below throw `unknown`,
   * `kind` if the column holds something else, or `bounds`.
   */
  u64(column: string, first?: number, count?: number): Integers<BigUint64Array> {
    const read = (from: number, rows: number) => host.readU64(this.number, this.find(column), from, rows);
    return new Integers(joinArrays(BigUint64Array, this.#pages(read, first, count)));
  }

  s64(column: string, first?: number, count?: number): Integers<BigInt64Array> {
    const read = (from: number, rows: number) => host.readS64(this.number, this.find(column), from, rows);
    return new Integers(joinArrays(BigInt64Array, this.#pages(read, first, count)));
  }

  f64(column: string, first?: number, count?: number): Float64Array {
    const read = (from: number, rows: number) => host.readF64(this.number, this.find(column), from, rows);
    return joinArrays(Float64Array, this.#pages(read, first, count));
  }

  texts(column: string, first?: number, count?: number): Texts {
    const read = (from: number, rows: number) => host.readTexts(this.number, this.find(column), from, rows);
    const pages = this.#pages(read, first, count);
    return new Texts(only(pages) ?? joinTexts(pages));
  }

  histograms(column: string, first?: number, count?: number): Histograms {
    const read = (from: number, rows: number) => host.readBuckets(this.number, this.find(column), from, rows);
    const pages = this.#pages(read, first, count);
    return new Histograms(only(pages) ?? joinBuckets(pages));
  }

  /** A column's bytes, as the host has them: little-endian, 8 a row for numbers, and 4 for texts, which are codes. */
  raw(column: string, first?: number, count?: number): Uint8Array {
    const read = (from: number, rows: number) => host.readRaw(this.number, this.find(column), from, rows);
    return joinArrays(Uint8Array, this.#pages(read, first, count));
  }

  /** Reads in as few pages as the host allows: all at once, or, as long as that is `too-large`, half as many. */
  #pages<P>(read: (first: number, count: number) => P, first = 0, count = this.length - first): P[] {
    const pages: P[] = [];
    let rows = count;
    let done = 0;
    do {
      rows = Math.min(rows, count - done);
      try {
        pages.push(ask(() => read(first + done, rows)));
        done += rows;
      } catch (error) {
        if (!(error instanceof Failure && error.reason === "too-large" && rows > 1)) throw error;
        rows = Math.ceil(rows / 2);
      }
    } while (done < count);
    return pages;
  }

  /** Row by row, for those who want rows; columns are read as far as they are looked at. */
  [Symbol.iterator](): Iterator<Row> {
    return rows(this);
  }

  /** Asks for the rows for which the condition holds: `table.filter(col("calls").gt(10)).ask()`. */
  filter(condition: Condition): Question {
    return new Question(this).filter(condition);
  }

  /**
   * Asks for one row for each combination of values in these columns; what it shows of each group is added to the
   * question: `table.groupBy("comm").sum("calls").ask()` has the columns `comm` and `sum(calls)`.
   */
  groupBy(...columns: string[]): Question {
    return new Question(this).groupBy(...columns);
  }

  /** Asks for the rows by ascending values of a column. */
  sortAsc(column: string): Question {
    return new Question(this).sortAsc(column);
  }

  /** Asks for the rows by descending values of a column; `.limit(10)` keeps the ten largest. */
  sortDesc(column: string): Question {
    return new Question(this).sortDesc(column);
  }
}

/** The page, if there is but one, which then is not copied. */
function only<P>(pages: readonly P[]): P | undefined {
  return pages.length === 1 ? pages[0] : undefined;
}

type Numbers = BigUint64Array | BigInt64Array | Float64Array | Uint8Array;

function joinArrays<A extends Numbers>(kind: new (length: number) => A, pages: readonly A[]): A {
  const one = only(pages);
  if (one) return one;
  const joined = new kind(total(pages, (page) => page.length));
  let done = 0;
  for (const page of pages) {
    (joined as { set(page: A, at: number): void }).set(page, done);
    done += page.length;
  }
  return joined;
}
