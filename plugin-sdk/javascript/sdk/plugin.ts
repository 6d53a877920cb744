/** What a plugin is, and how it is exported. */

import { Failure } from "./failure.ts";
import { log, type Printable, type Severity } from "./output.ts";

/**
 * A plugin, exported as `analysis`:
 *
 * ```js
 * export const analysis = plugin({ configure() { … }, analyze(settings) { … } });
 * ```
 *
 * Every interval has a fresh instance, so there is nothing to remember in variables: what is to outlive the call goes
 * into `state`.
 */
export interface Plugin<Settings> {
  /**
   * Looks at the options, and at the columns of the tables, and returns what `analyze` is to have of them. It is called
   * before anything is attached, so that what is wrong is told before anything runs, and again before each `analyze`.
   * Tables have no rows yet.
   */
  configure?(): Settings | Promise<Settings>;

  /**
   * Looks at an interval's tables, and says something about them. What is thrown ends the call: a `Failure` with its
   * message, anything else, a mistake in the plugin, as a trap, after its stack has gone to the log.
   */
  analyze(settings: Settings): void | Promise<void>;
}

/** Makes what a component exports, under the name `analysis`, of a plugin. */
export function plugin<Settings = undefined>(
  plugin: Plugin<Settings>,
): { configure(): Promise<void>; analyze(): Promise<void> } {
  const configure = async () => (await plugin.configure?.()) as Settings;
  return {
    configure: () => guarded(configure),
    analyze: () => guarded(async () => plugin.analyze(await configure())),
  };
}

async function guarded(call: () => unknown): Promise<void> {
  sayThroughTheLog();
  try {
    await call();
  } catch (error) {
    // It becomes a trap, which says nothing; the log is kept.
    if (!(error instanceof Failure)) log("critical", describe(error));
    throw error;
  }
}

/** With the places in `build/plugin.js`, but for those of the glue around it. */
function describe(error: unknown): string {
  const stack = error instanceof Error ? (error.stack ?? "").split("\n") : [];
  return [String(error), ...stack.filter((line) => line && !line.includes("/initializer.js:"))].join("\n");
}

/** There is no standard output, which the engine's own console writes to. */
function sayThroughTheLog(): void {
  const say = (level: Severity) => (...what: Printable[]) => log(level, what.map(String).join(" "));
  const console = {
    debug: say("debug"),
    log: say("info"),
    info: say("info"),
    warn: say("warning"),
    error: say("critical"),
  };
  Object.assign(globalThis, { console });
}
