/** What a plugin says. It is kept only if `analyze` returns; log lines always. */

import * as host from "weir:plugin/output@0.1.0";
import { ask } from "./failure.ts";
import type { Table } from "./table.ts";
import { encode } from "./text.ts";

/** From the least to the most urgent. */
export type Severity = "debug" | "info" | "warning" | "critical";

/** Whatever a template string takes: a string, a number, a bigint, a `Text`. */
export type Printable = string | number | bigint | boolean | { toString(): string };

/** The labels that tell the values of a metric apart: `{ table: "reads" }`. */
export type Labels = Readonly<Record<string, Printable>>;

/** An object, or pairs: names that are numbers, such as `1`, come first in every object, and stay in place in pairs. */
export type Fields = Readonly<Record<string, Printable>> | Iterable<readonly [name: string, value: Printable]>;

function pairs(fields: Fields): host.Label[] {
  const entries = Symbol.iterator in fields ? [...fields] : Object.entries(fields);
  return entries.map(([name, value]) => ({ name, value: String(value) }));
}

/** A number that only grows; the host keeps its total: `counter("calls", { comm }).add(1)`. */
export function counter(name: string, labels: Labels = {}): { add(delta: number | bigint): void } {
  return { add: (delta) => ask(() => host.add(name, pairs(labels), Number(delta))) };
}

/** A number as it is now: `gauge("share", { comm }).set(0.5)`. */
export function gauge(name: string, labels: Labels = {}): { set(value: number | bigint): void } {
  return { set: (value) => ask(() => host.gauge(name, pairs(labels), Number(value))) };
}

/** A row's histogram, passed on whole: `histogram("latency").row(table, 0, "latency")`. */
export function histogram(
  name: string,
  labels: Labels = {},
): { row(table: Table, row: number, column: string): void } {
  return {
    row: (table, row, column) =>
      ask(() => host.histogram(name, pairs(labels), table.number, row, table.find(column))),
  };
}

/**
 * Something for a person to read. `code` names its sort, and is always the same, for programs to select by; `title` is
 * one line; fields are shown in their order.
 */
export function report(level: Severity, code: string, title: string, fields: Fields = {}): void {
  ask(() => host.report(level, code, title, pairs(fields)));
}

/** Appends to a file that this interval leaves behind. */
export function artefact(name: string, mediaType: string, chunk: string | Uint8Array): void {
  ask(() => host.artefact(name, mediaType, typeof chunk === "string" ? encode(chunk) : chunk));
}

/** A line for whoever writes or runs the plugin, kept even if the call fails. `console.log` comes here too. */
export function log(level: Severity, message: Printable): void {
  host.log(level, String(message));
}
