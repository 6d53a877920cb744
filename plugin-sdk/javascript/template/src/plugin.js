// The biggest keys of every table that it is granted, by the table's first count.
import { col, counter, options, plugin, report, tables } from "weir-plugin";

export const analysis = plugin({
  // What is wrong is told before anything runs. What this returns, `analyze` is given.
  configure() {
    const limit = options.integer("limit") ?? 3;
    if (limit < 1 || limit > 100) throw options.wrong("limit", "1 to 100 are possible");
    return { limit };
  },

  // Every interval has a fresh instance: what is to outlive it goes into `state`.
  analyze({ limit }) {
    for (const table of tables()) {
      const { events } = table.coverage();
      if (events > 0) counter("events", { table: table.name }).add(events);

      const measure = table.columns.find(({ role, kind }) => role === "count" && kind === "u64");
      if (!measure) continue;

      // A question is answered by the host. The overflow row is left out: its keys mean nothing.
      const top = table.filter(col("overflow").eq(0)).sortDesc(measure.name).limit(limit).ask();
      let rank = 0;
      for (const row of top) {
        rank += 1;
        report("info", "top", `${table.name} ${rank}: ${row.key()}`, { [measure.name]: row.u64(measure.name) });
      }
    }
  },
});
