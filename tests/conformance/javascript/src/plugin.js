// What every SDK has to read alike.
import {
  artefact, Failure, gauge, Histogram, histogram, interval, log, options, plugin, report, state, Table, tables,
} from "weir-plugin";
import { Fnv, hex } from "./fnv.js";

const PAGE = 10_000;

const modes = {
  all: () => tables().forEach(all),
  columns,
  questions,
  histograms: () => tables().forEach(histograms),
  state: count,
  fail() {
    throw new Failure("tally", "as asked");
  },
  trap() {
    undefined.no();
  },
  loop() {
    for (;;);
  },
  memory() {
    for (const kept = []; ; ) kept.push(new Uint8Array(1 << 20).fill(1));
  },
  unknown() {
    try {
      new Table(99, "there is none");
    } catch (error) {
      report("info", "unknown", error.reason);
    }
  },
};

export const analysis = plugin({
  configure() {
    const mode = modes[options.text("mode") ?? "all"];
    if (!mode) throw options.wrong("mode", `${Object.keys(modes).join(", ")} are possible`);
    return mode;
  },

  analyze(mode) {
    mode();
  },
});

function all(table) {
  const began = interval.began();
  const { events, overflow, missed } = table.coverage();
  const fields = [
    ["interval", [
      interval.number(),
      `${began.seconds}.${String(began.nanoseconds).padStart(9, "0")}`,
      interval.isLast(),
      interval.skipped(),
    ].join(" ")],
    ["rows", table.length],
    ["coverage", `${events} ${overflow} ${missed ?? "none"}`],
  ];
  for (const column of table.columns) fields.push([column.name, tally(table, column)]);
  fields.push(["raw", raw(table)]);
  report("info", "tally", table.name, fields);
}

function* pages(table) {
  for (let first = 0; first < table.length; first += PAGE) yield [first, Math.min(PAGE, table.length - first)];
}

function tally(table, { name, kind }) {
  switch (kind) {
    case "u64": {
      let [sum, max] = [0n, 0n];
      for (const page of pages(table)) {
        const values = table.u64(name, ...page);
        sum += values.sum();
        max = [max, values.max()].reduce((a, b) => (a > b ? a : b));
      }
      return `${BigInt.asUintN(64, sum)} ${max}`;
    }
    case "s64": {
      let sum = 0n;
      let min;
      for (const page of pages(table)) {
        const values = table.s64(name, ...page);
        sum += values.sum();
        const least = values.min();
        if (min === undefined || least < min) min = least;
      }
      return `${BigInt.asIntN(64, sum)} ${min ?? 0n}`;
    }
    case "f64": {
      let sum = 0;
      for (const page of pages(table)) {
        for (const value of table.f64(name, ...page)) sum += Number.isFinite(value) ? value : 0;
      }
      return bits(sum);
    }
    case "text": {
      const hash = new Fnv();
      const end = Uint8Array.of(0xff);
      for (const page of pages(table)) {
        for (const text of table.texts(name, ...page)) {
          hash.add(text.bytes);
          hash.add(end);
        }
      }
      return `${hash}`;
    }
    case "buckets":
      return buckets(table, name);
    default:
      return kind;
  }
}

function buckets(table, name) {
  const hash = new Fnv();
  const entry = new DataView(new ArrayBuffer(20));
  let [entries, counts, totals] = [0, 0n, 0n];
  for (const [first, rows] of pages(table)) {
    let row = first;
    for (const { buckets, count: total } of table.histograms(name, first, rows)) {
      totals += total;
      for (const { low, count } of buckets) {
        entries += 1;
        counts += count;
        entry.setUint32(0, row, true);
        entry.setFloat64(4, low, true);
        entry.setBigUint64(12, count, true);
        hash.add(new Uint8Array(entry.buffer));
      }
      row += 1;
    }
  }
  return `${entries} ${BigInt.asUintN(64, counts)} ${BigInt.asUintN(64, totals)} ${hash}`;
}

/** The columns that add up, by name. */
function sums(table) {
  const adds = ({ kind, role }) => kind === "u64" && ["count", "sum"].includes(role);
  return table.columns.filter(adds).map(({ name }) => name);
}

function raw(table) {
  const hash = new Fnv();
  const [name] = sums(table);
  if (name !== undefined) {
    for (const page of pages(table)) hash.add(table.raw(name, ...page));
  }
  return `${hash}`;
}

function columns() {
  const [table] = tables();
  if (!table) return;
  const names = sums(table).slice(0, 3);
  const read = names.map((name) => table.u64(name));
  const top = read[0]?.top(10).map((row) => read[0].at(row)) ?? [];
  said(table, names.map((name, i) => [name, read[i].sum()]), top);
}

function questions() {
  const [table] = tables();
  if (!table) return;
  const names = sums(table).slice(0, 3);
  const [first] = names;
  if (first === undefined) return said(table, [], []);
  const asked = names.reduce((question, name) => question.sum(name), table.groupBy()).ask();
  const [all] = asked;
  const top = [...table.sortDesc(first).limit(10).ask()].map((row) => row.u64(first));
  said(table, names.map((name) => [name, all.u64(`sum(${name})`)]), top);
}

function said(table, sums, top) {
  report("info", "columns", table.name, [...sums, ["top", top.join(" ")]]);
}

const SHARES = [0, 0.1, 0.3, 0.5, 0.9, 0.99, 1];

/** Each histogram of a table, added up and by quantiles: by this SDK, and by the host. */
function histograms(table) {
  for (const { name } of table.columns.filter(({ kind }) => kind === "buckets")) {
    const merged = Histogram.merged(table.histograms(name));
    const placed = merged.buckets.reduce((sum, bucket) => sum + bucket.count, 0n);
    const quantile = (share) => {
      const bucket = merged.quantile(share);
      return bucket ? bits(bucket.high ?? Infinity) : "none";
    };
    const asked = (share) => {
      const [answer] = table.groupBy().quantile(name, share).ask();
      const bound = answer.f64(`quantile(${name})`);
      return Number.isNaN(bound) ? "none" : bits(bound);
    };
    report("info", "histograms", `${table.name}.${name}`, {
      merged: `${merged.buckets.length} ${placed} ${merged.count} ${bits(merged.sum)}`,
      quantiles: SHARES.map(quantile).join(" "),
      asked: SHARES.map(asked).join(" "),
    });
  }
}

function bits(value) {
  const [low, high] = new Uint32Array(Float64Array.of(value).buffer);
  return hex(high) + hex(low);
}

function count() {
  const calls = Number(state.loadText("n") ?? 0) + 1;
  state.store("n", String(calls));
  report("info", "state", String(calls));
  log("debug", `call ${calls}`);
  artefact("a.txt", "text/plain", "call ");
  artefact("a.txt", "text/plain", `${calls}\n`);
  gauge("n", { k: "v" }).set(calls);
  for (const table of tables()) {
    const column = table.columns.find(({ kind }) => kind === "buckets");
    if (column && table.length > 0) return histogram("h").row(table, 0, column.name);
  }
}
