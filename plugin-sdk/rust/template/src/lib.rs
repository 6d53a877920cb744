//! The biggest keys of each table, once an interval.

use weir_plugin::{Column, Plugin, Result, Severity, Table, col, counter, report, tables};

weir_plugin::options! {
    #[derive(Default)]
    struct Options {
        limit: u32 where 1..=100,
    }
}

#[derive(Default)]
struct First {
    options: Options,
}

weir_plugin::export!(First);

impl Plugin for First {
    fn configure(&mut self) -> Result {
        self.options = Options::read()?;
        Ok(())
    }

    fn analyze(&mut self) -> Result {
        for table in tables()? {
            let events = table.coverage()?.events;
            if events > 0 {
                counter("events")
                    .label("table", table.name())
                    .add(events as f64)?;
            }
            let mut columns = table.columns().iter();
            let is_count = |column: &&Column| column.role == "count" && column.kind == "u64";
            if let Some(count) = columns.find(is_count) {
                self.rank(&table, &count.name)?;
            }
        }
        Ok(())
    }
}

impl First {
    /// Reports the keys with the most of a measure.
    fn rank(&self, table: &Table, measure: &str) -> Result {
        let own = table.filter(col("overflow").eq(0));
        let biggest = own.sort_desc(measure).limit(self.options.limit).ask()?;
        for (rank, row) in (1..).zip(biggest.rows()) {
            let title = format!("{} {rank}: {}", table.name(), row.key()?);
            report(Severity::Info, "top", title)
                .field(measure, row.u64(measure)?)
                .send()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
