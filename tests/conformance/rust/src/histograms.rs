//! Each histogram of a table, added up and by quantiles: by this SDK, and by the host.

use weir_plugin::{Histogram, Result, Severity, Table, report};

const SHARES: [f64; 7] = [0.0, 0.1, 0.3, 0.5, 0.9, 0.99, 1.0];

pub(crate) fn tell(table: &Table) -> Result {
    for column in table.columns().iter().filter(|column| column.kind == "buckets") {
        let merged = table.column::<Histogram>(&column.name)?.merged();
        let sum = merged.sum().to_bits();
        let placed: u64 = merged.iter().map(|bucket| bucket.count).sum();
        let quantile = |share| {
            let bucket = merged.quantile(share);
            shown(bucket.map_or(f64::NAN, |bucket| bucket.high.unwrap_or(f64::INFINITY)))
        };
        report(Severity::Info, "histograms", format!("{}.{}", table.name(), column.name))
            .field("merged", format_args!("{} {placed} {} {sum:016x}", merged.len(), merged.count()))
            .field("quantiles", SHARES.map(quantile).join(" "))
            .field("asked", asked(table, &column.name)?.join(" "))
            .send()?;
    }
    Ok(())
}

fn asked(table: &Table, column: &str) -> Result<Vec<String>> {
    let quantile = |share| {
        let answer = table.group_by([]).quantile(column, share).ask()?;
        Ok(shown(answer.column::<f64>(&format!("quantile({column})"))?[0]))
    };
    SHARES.into_iter().map(quantile).collect()
}

fn shown(bound: f64) -> String {
    if bound.is_nan() { "none".to_owned() } else { format!("{:016x}", bound.to_bits()) }
}
