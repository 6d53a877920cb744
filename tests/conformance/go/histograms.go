package main

import (
	"fmt"
	"math"
	"strings"

	weir "github.com/weir-tracing/weir/plugin-sdk/go/sdk"
)

var shares = []float64{0, 0.1, 0.3, 0.5, 0.9, 0.99, 1}

// Each histogram of a table, added up and by quantiles: by this SDK, and by the host.
func histograms(table *weir.Table) error {
	for _, column := range table.Columns() {
		if column.Kind != "buckets" {
			continue
		}
		rows, err := weir.Read[weir.Histogram](table, column.Name)
		if err != nil {
			return err
		}
		merged := weir.Merge(rows...)
		var placed uint64
		for bucket := range merged.Buckets() {
			placed += bucket.Count
		}
		var quantiles, asked []string
		for _, share := range shares {
			high := math.NaN()
			if bucket, found := merged.Quantile(share); found {
				high = bucket.High
			}
			quantiles = append(quantiles, bound(high))
			answer, err := table.GroupBy().Quantile(column.Name, share).Ask()
			if err != nil {
				return err
			}
			quantile, err := weir.Read[float64](answer, "quantile("+column.Name+")")
			if err != nil {
				return err
			}
			asked = append(asked, bound(quantile[0]))
		}
		sum := math.Float64bits(merged.Sum)
		err = weir.Report(weir.Info, "histograms", table.Name()+"."+column.Name,
			weir.F("merged", fmt.Sprintf("%d %d %d %016x", merged.Len(), placed, merged.Count, sum)),
			weir.F("quantiles", strings.Join(quantiles, " ")),
			weir.F("asked", strings.Join(asked, " ")))
		if err != nil {
			return err
		}
	}
	return nil
}

func bound(value float64) string {
	if math.IsNaN(value) {
		return "none"
	}
	return fmt.Sprintf("%016x", math.Float64bits(value))
}
