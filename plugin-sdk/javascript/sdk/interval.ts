/** The interval that the tables belong to: the only clock there is. `Date` and `Math.random` know nothing. */

import * as host from "weir:plugin/interval@0.1.0";
import type { Instant } from "weir:plugin/types@0.1.0";

/** Counted from 0. */
export function number(): bigint {
  return host.number();
}

/** The wall clock's time at its beginning, since 1970-01-01T00:00:00Z. */
export function began(): Instant {
  return host.began();
}

/** The same to the millisecond. */
export function date(): Date {
  const { seconds, nanoseconds } = host.began();
  return new Date(Number(seconds) * 1000 + Math.floor(nanoseconds / 1e6));
}

/** Its length in seconds: what to divide by for a rate. */
export function seconds(): number {
  return host.length();
}

/** Intervals that this plugin was not called for since its last call. */
export function skipped(): number {
  return host.skipped();
}

/** This is the last call of the run. */
export function isLast(): boolean {
  return host.isLast();
}
