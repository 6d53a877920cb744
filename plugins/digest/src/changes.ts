// What changed since the last interval, of as many keys as the state has room for.
import { Failure, interval, state } from "weir-plugin";
import { brief } from "./format.ts";
import { RANKED, type Summary } from "./summary.ts";

/** A key's rate, per second, because intervals differ in length; in this interval and in an earlier one. */
export interface Change {
  readonly key: string;
  readonly is: Rate;
  readonly was: Rate;
  /** The number of the earlier interval. */
  readonly since: string;
}

/** Of a key that was not among those looked at it is only known what it had at most. */
export interface Rate {
  readonly value: number;
  readonly atMost: boolean;
}

/** What is remembered of an interval. */
interface Memory {
  readonly interval: string;
  readonly seconds: number;
  readonly tables: Readonly<Record<string, Rates>>;
}

interface Rates {
  readonly measure: string;
  readonly rates: readonly (readonly [key: string, rate: number])[];
  /** What each of the other keys had at most. */
  readonly rest: number;
}

const STATE = "last";

export function recall(): Memory | undefined {
  const text = state.loadText(STATE);
  return text === undefined ? undefined : JSON.parse(text);
}

/** As many keys of each table as the state has room for, which has 64 KiB: that depends on how long the names are. */
export function remember(summaries: readonly Summary[]): void {
  for (let count = RANKED; !fits(summaries, count); ) count = Math.floor(count / 2);
}

function fits(summaries: readonly Summary[], count: number): boolean {
  const tables: Record<string, Rates> = {};
  for (const summary of summaries) {
    const known = rates(summary, count);
    if (known) tables[summary.table] = known;
  }
  const memory: Memory = { interval: String(interval.number()), seconds: interval.seconds(), tables };
  try {
    state.store(STATE, JSON.stringify(memory));
    return true;
  } catch (error) {
    // Without any key it has nothing of any table, and fits.
    if (error instanceof Failure && error.reason === "too-large" && count > 0) return false;
    throw error;
  }
}

function rates({ measure, ranking, rest }: Summary, count: number): Rates | undefined {
  const seconds = interval.seconds();
  if (!measure || !(seconds > 0) || count === 0) return undefined;
  const rate = (value: bigint | undefined) => Number(value ?? 0n) / seconds;
  return {
    measure: measure.name,
    rates: ranking.slice(0, count).map(({ key, value }) => [brief(key), rate(value)] as const),
    rest: Math.max(rate(rest), rate(ranking[count]?.value)),
  };
}

/** What changed, the biggest change first. */
export function compare(summary: Summary, before: Memory | undefined): Change[] {
  // Of a last interval that was cut short, rates say little.
  if (!before || (interval.isLast() && interval.seconds() < before.seconds / 2)) return [];
  const then = before.tables[summary.table];
  const now = rates(summary, RANKED);
  // It may be another measure that is the biggest one now.
  if (!then || !now || then.measure !== now.measure) return [];

  const [was, is] = [new Map(then.rates), new Map(now.rates)];
  const keys = new Set([...is.keys(), ...was.keys()]);
  return Array.from(keys, (key) => ({
    key,
    is: rate(is.get(key), now.rest),
    was: rate(was.get(key), then.rest),
    since: before.interval,
  }))
    .filter((change) => size(change) > 0)
    .sort((a, b) => size(b) - size(a));
}

function rate(known: number | undefined, rest: number): Rate {
  return { value: known ?? rest, atMost: known === undefined && rest > 0 };
}

/** How much it changed for certain. */
function size({ is, was }: Change): number {
  const grown = is.value - was.value;
  if (is.atMost) return Math.max(-grown, 0);
  return was.atMost ? Math.max(grown, 0) : Math.abs(grown);
}
