/** A few kilobytes that outlive the instance. What a call that fails stored is gone. */

import * as host from "weir:plugin/state@0.1.0";
import { ask } from "./failure.ts";
import { decode, encode } from "./text.ts";

/** What was stored under this key, if anything was. */
export function load(key: string): Uint8Array | undefined {
  return host.load(key);
}

/** The same, if it was stored as a string. */
export function loadText(key: string): string | undefined {
  const value = host.load(key);
  return value && decode(value);
}

/** Throws `too-large` if there is no room for it. */
export function store(key: string, value: string | Uint8Array): void {
  ask(() => host.store(key, typeof value === "string" ? encode(value) : value));
}

export function remove(key: string): void {
  host.remove(key);
}
