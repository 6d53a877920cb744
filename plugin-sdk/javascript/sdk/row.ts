/** Rows, for those who want rows: a page of a column is read when the first of its rows is looked at. */

import { Failure } from "./failure.ts";
import { Histogram, type Histograms } from "./histogram.ts";
import type { Integers } from "./integers.ts";
import type { Table } from "./table.ts";
import { Text, type Texts } from "./text.ts";

/** Rows of a page. Looking at one row of a large table should not read all of it, and all should take few calls. */
const PAGE_ROWS = 8192;

/** What a cell holds: a bigint in columns of `u64` and `s64`, a number in those of `f64`. */
export type Value = bigint | number | Text | Histogram;

type Cells = Integers | Float64Array | Texts | Histograms;

/** Some rows of a table, with what was read of them so far. */
class Page {
  readonly table: Table;
  readonly first: number;
  readonly count: number;
  readonly #cells: (Cells | undefined)[] = [];

  constructor(table: Table, first: number) {
    this.table = table;
    this.first = first;
    this.count = Math.min(PAGE_ROWS, table.length - first);
  }

  cells(place: number): Cells {
    return (this.#cells[place] ??= this.#read(place));
  }

  #read(place: number): Cells {
    const { table, first, count } = this;
    const { name, kind } = table.columns[place]!;
    switch (kind) {
      case "u64":
        return table.u64(name, first, count);
      case "s64":
        return table.s64(name, first, count);
      case "f64":
        return table.f64(name, first, count);
      case "text":
        return table.texts(name, first, count);
      case "buckets":
        return table.histograms(name, first, count);
      default:
        throw new Failure("kind", `${kind} is a kind that this plugin does not know`);
    }
  }
}

export function* rows(table: Table): Generator<Row> {
  for (let first = 0; first < table.length; first += PAGE_ROWS) {
    const page = new Page(table, first);
    for (let index = 0; index < page.count; index += 1) yield new Row(page, index);
  }
}

/** One row of a table. */
export class Row {
  readonly #page: Page;
  readonly #index: number;

  constructor(page: Page, index: number) {
    this.#page = page;
    this.#index = index;
  }

  /** The cell of this column, whatever it holds. Throws `unknown`. */
  value(column: string): Value {
    return this.#value(this.#page.table.find(column));
  }

  /** The bigint in a column of kind `u64`. It and those below throw `unknown` or `kind`. */
  u64(column: string): bigint {
    return this.#value(this.#place(column, "u64")) as bigint;
  }

  s64(column: string): bigint {
    return this.#value(this.#place(column, "s64")) as bigint;
  }

  f64(column: string): number {
    return this.#value(this.#place(column, "f64")) as number;
  }

  text(column: string): Text {
    return this.#value(this.#place(column, "text")) as Text;
  }

  histogram(column: string): Histogram {
    return this.#value(this.#place(column, "buckets")) as Histogram;
  }

  /** The number in a column of any kind of numbers, rounded above 2^53. */
  number(column: string): number {
    const value = this.value(column);
    if (value instanceof Text || value instanceof Histogram) {
      throw this.#not(column, "numbers");
    }
    return Number(value);
  }

  /** Its keys, in the order of their columns. */
  keys(): Value[] {
    return this.#keys().map(([, key]) => key);
  }

  /**
   * All of its keys as one text for people, never the same for two rows: one key as it prints, several as
   * `comm="cat" pid=12`, and `all` in a table that has none.
   */
  key(): string {
    const keys = this.#keys();
    if (keys.length === 0) return "all";
    if (keys.length === 1) return String(keys[0]![1]);
    // Quotes keep a text from looking like the key after it.
    const print = (key: Value) => (key instanceof Text ? `"${String(key).replaceAll('"', '\\"')}"` : String(key));
    return keys.map(([name, key]) => `${name}=${print(key)}`).join(" ");
  }

  /** This is the row of the events that found no row of their own; its keys mean nothing. */
  isOverflow(): boolean {
    const place = this.#page.table.columns.findIndex((column) => column.name === "overflow");
    return place >= 0 && this.#value(place) !== 0n;
  }

  #keys(): [name: string, key: Value][] {
    const keys: [string, Value][] = [];
    this.#page.table.columns.forEach((column, place) => {
      if (column.role === "key") keys.push([column.name, this.#value(place)]);
    });
    return keys;
  }

  #value(place: number): Value {
    return this.#page.cells(place).at(this.#index)!;
  }

  #place(column: string, kind: string): number {
    const place = this.#page.table.find(column);
    if (this.#page.table.columns[place]!.kind !== kind) throw this.#not(column, kind);
    return place;
  }

  #not(column: string, wanted: string): Failure {
    const { kind } = this.#page.table.columns[this.#page.table.find(column)]!;
    return new Failure("kind", `column ${column} holds ${kind}, not ${wanted}`);
  }
}
