/**
 * The operator's settings. One that is absent is `undefined`; one of another type is a failure that says so, rather
 * than a default which hides it.
 */

import * as host from "weir:plugin/options@0.1.0";
import { Failure } from "./failure.ts";

export function text(name: string): string | undefined {
  return typed(name, "a text", host.text(name));
}

/** Rounded above 2^53; `bigint` is exact. */
export function integer(name: string): number | undefined {
  const value = bigint(name);
  return value === undefined ? undefined : Number(value);
}

export function bigint(name: string): bigint | undefined {
  return typed(name, "an integer", host.integer(name));
}

/** An integer will do for a number. */
export function number(name: string): number | undefined {
  return typed(name, "a number", host.number(name));
}

export function flag(name: string): boolean | undefined {
  return typed(name, "true or false", host.flag(name));
}

/** A failure that names the option: what is wrong with it, and what would be right. */
export function wrong(name: string, what: string): Failure {
  return new Failure("option", `option ${name}: ${what}`);
}

function typed<T>(name: string, wanted: string, value: T | undefined): T | undefined {
  const other = value === undefined ? mistyped(name) : undefined;
  if (other) throw wrong(name, `${wanted} is needed, and this is ${other}`);
  return value;
}

/** What a setting is that was not of the type it was asked for. */
function mistyped(name: string): string | undefined {
  if (host.text(name) !== undefined) return "a text";
  if (host.integer(name) !== undefined) return "an integer";
  if (host.number(name) !== undefined) return "a number";
  if (host.flag(name) !== undefined) return "true or false";
  return undefined;
}
