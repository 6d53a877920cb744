/** Questions: filter, group and sort, answered by the host. They chain, and nothing is asked before `ask`. */

import * as host from "weir:plugin/questions@0.1.0";
import { ask, Failure } from "./failure.ts";
import { Table } from "./table.ts";
import { encode, Text } from "./text.ts";

/** What a column is compared with. Numbers compare by value, whatever their kinds. */
export type Comparable = number | bigint | string | Text | Uint8Array;

/** What holds for some rows and not for others. */
export interface Condition {
  readonly column: string;
  readonly op: string;
  readonly value: host.Literal;
}

/** A column, to be compared with something: `col("calls").gt(10)`. */
export function col(name: string): Col {
  return new Col(name);
}

export class Col {
  readonly #name: string;

  constructor(name: string) {
    this.#name = name;
  }

  eq(value: Comparable): Condition {
    return this.#condition("eq", value);
  }

  ne(value: Comparable): Condition {
    return this.#condition("ne", value);
  }

  lt(value: number | bigint): Condition {
    return this.#condition("lt", value);
  }

  le(value: number | bigint): Condition {
    return this.#condition("le", value);
  }

  gt(value: number | bigint): Condition {
    return this.#condition("gt", value);
  }

  ge(value: number | bigint): Condition {
    return this.#condition("ge", value);
  }

  /** Of texts. */
  startsWith(value: string | Text | Uint8Array): Condition {
    return this.#condition("prefix", value);
  }

  #condition(op: string, value: Comparable): Condition {
    return { column: this.#name, op, value: literal(value) };
  }
}

function literal(value: Comparable): host.Literal {
  if (typeof value === "number") return { tag: "float", val: value };
  if (typeof value === "bigint") return { tag: value < 0n ? "signed" : "unsigned", val: value };
  if (typeof value === "string") return { tag: "text", val: encode(value) };
  return { tag: "text", val: value instanceof Text ? value.bytes : value };
}

interface Show {
  readonly op: string;
  readonly column: string;
  readonly argument: number;
}

type Step =
  | { readonly kind: "filter"; readonly every: readonly Condition[] }
  | { readonly kind: "group"; readonly by: readonly string[]; readonly show: readonly Show[] }
  | { readonly kind: "sort"; readonly by: string; readonly descending: boolean; readonly limit: number };

/** A question about a table, in steps: each asks about the answer to the one before. */
export class Question {
  readonly #table: Table;
  readonly #steps: readonly Step[];

  constructor(table: Table, steps: readonly Step[] = []) {
    this.#table = table;
    this.#steps = steps;
  }

  /** Only the rows for which this holds too. */
  filter(condition: Condition): Question {
    const last = this.#last;
    return last?.kind === "filter"
      ? this.#instead({ ...last, every: [...last.every, condition] })
      : this.#then({ kind: "filter", every: [condition] });
  }

  /**
   * One row for each combination of values in these columns; one of all rows if there are none. The answer has these
   * columns, and what is shown of each group under names like `sum(calls)`.
   *
   * Where the overflow row's keys could be mistaken for others, filter it out first, or group by `overflow` too.
   */
  groupBy(...columns: string[]): Question {
    return this.#then({ kind: "group", by: columns, show: [] });
  }

  /** The group's sum; of histograms, bucket by bucket. */
  sum(column: string): Question {
    return this.#show("sum", column);
  }

  min(column: string): Question {
    return this.#show("min", column);
  }

  max(column: string): Question {
    return this.#show("max", column);
  }

  mean(column: string): Question {
    return this.#show("mean", column);
  }

  /** The group's sum by the sum over all groups, 0 to 1. */
  share(column: string): Question {
    return this.#show("share", column);
  }

  /** The smallest value that at least this share (0 to 1) of the values does not exceed. */
  quantile(column: string, share: number): Question {
    return this.#show("quantile", column, share);
  }

  /** How many rows the group has. */
  count(column: string): Question {
    return this.#show("count", column);
  }

  sortAsc(column: string): Question {
    return this.#then({ kind: "sort", by: column, descending: false, limit: 0 });
  }

  sortDesc(column: string): Question {
    return this.#then({ kind: "sort", by: column, descending: true, limit: 0 });
  }

  /** The first rows of a sort: at most so many, all if it is 0. */
  limit(rows: number): Question {
    const last = this.#last;
    if (last?.kind !== "sort") throw new Failure("misplaced", "limit comes right after sortAsc or sortDesc");
    return this.#instead({ ...last, limit: rows });
  }

  /**
   * Asks, and gives the answer, which lives until `analyze` returns. Throws `unknown`, `kind`, `bounds`, `quota` or
   * `too-large`.
   */
  ask(): Table {
    return this.#steps.reduce((table, step) => new Table(answer(table, step), table.name), this.#table);
  }

  #show(op: string, column: string, argument = 0): Question {
    const last = this.#last;
    if (last?.kind !== "group") throw new Failure("misplaced", "what is shown of a group comes right after groupBy");
    return this.#instead({ ...last, show: [...last.show, { op, column, argument }] });
  }

  get #last(): Step | undefined {
    return this.#steps[this.#steps.length - 1];
  }

  #then(step: Step): Question {
    return new Question(this.#table, [...this.#steps, step]);
  }

  #instead(step: Step): Question {
    return new Question(this.#table, [...this.#steps.slice(0, -1), step]);
  }
}

/** Columns by place, and the number of the table that the host makes of it. */
function answer(table: Table, step: Step): number {
  switch (step.kind) {
    case "filter": {
      const every = step.every.map(({ column, op, value }) => ({ column: table.find(column), op, value }));
      return ask(() => host.filter(table.number, every));
    }
    case "group": {
      const by = Uint32Array.from(step.by, (column) => table.find(column));
      const show = step.show.map(({ op, column, argument }) => ({ column: table.find(column), op, argument }));
      return ask(() => host.group(table.number, by, show));
    }
    case "sort": {
      const by = table.find(step.by);
      return ask(() => host.sort(table.number, by, step.descending, step.limit));
    }
  }
}
