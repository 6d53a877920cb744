/**
 * Write plugins for Weir in JavaScript or TypeScript.
 *
 * A plugin is called at the end of every interval. It sees the tables it was granted, merged over all CPUs, and answers
 * with metrics, reports and log lines. It can reach nothing else. What a call of the interface means, and every limit,
 * is written in `build/wit/weir.wit`.
 */

export { Failure } from "./failure.ts";
export { Histogram, Histograms, type Bucket } from "./histogram.ts";
export { Integers } from "./integers.ts";
export * as interval from "./interval.ts";
export * as options from "./options.ts";
export {
  artefact,
  counter,
  gauge,
  histogram,
  log,
  report,
  type Fields,
  type Labels,
  type Printable,
  type Severity,
} from "./output.ts";
export { plugin, type Plugin } from "./plugin.ts";
export { Col, Question, col, type Comparable, type Condition } from "./question.ts";
export { Row, type Value } from "./row.ts";
export * as state from "./state.ts";
export { Table, table, tables, type Column, type Coverage } from "./table.ts";
export { Text, Texts } from "./text.ts";
