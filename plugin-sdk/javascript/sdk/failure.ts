import type { Failure as Payload } from "weir:plugin/types@0.1.0";

/**
 * Why a call was refused, or why a plugin gives up: throw one to end the call. `analyze` then loses its output but for
 * the log, and the operator is told the message.
 */
export class Failure extends Error {
  override readonly name = "Failure";
  /** The form in which it crosses to the host. */
  readonly payload: Payload;

  /**
   * @param reason a word for programs: the host's (`quota`, `unknown`, `kind`, `bounds`, `too-large`, …) or your own
   * @param message a sentence for people
   */
  constructor(reason: string, message: string) {
    super(message);
    this.payload = { reason, message };
  }

  get reason(): string {
    return this.payload.reason;
  }
}

/** Calls the host; what it refuses is thrown as a `Failure`. */
export function ask<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    const refused = (error as { payload?: Payload } | undefined)?.payload;
    throw refused && !(error instanceof Failure) ? new Failure(refused.reason, refused.message) : error;
  }
}
