/* The biggest keys of every table, once an interval. */
#include "weir.h"

static int64_t limit = 3;

bool weir_configure(void)
{
	TRY(weir_option_integer("limit", &limit));
	return (limit >= 1 && limit <= 100) || weir_wrong_option("limit", "1 to 100 are possible");
}

/* The first count that the table has, if it has one. */
static const char *measure_of(const weir_table *table)
{
	for (uint32_t i = 0; i < table->column_count; i++)
		if (weir_same(table->columns[i].role, "count") && table->columns[i].kind == WEIR_U64)
			return table->columns[i].name;
	return NULL;
}

bool weir_analyze(void)
{
	for (uint32_t i = 0; i < weir_table_count(); i++) {
		weir_table *table, *top;
		weir_coverage coverage;
		TRY(table = weir_table_at(i));
		TRY(weir_coverage_of(table, &coverage));
		if (coverage.events > 0)
			TRY(weir_add("events", (double)coverage.events, "table", table->name));

		const char *measure = measure_of(table);
		if (!measure)
			continue;
		/* What found no row of its own is in the overflow row, whose keys mean nothing. */
		TRY(top = weir_sort_desc(weir_filter(table, weir_eq("overflow", 0)), measure, (uint32_t)limit));
		for (uint32_t row = 0; row < top->rows; row++) {
			const char *key = weir_key(top, row);
			TRY(key);
			const char *title = weir_format("%s %u: %s", table->name, row + 1, key);
			TRY(weir_report(WEIR_INFO, "top", title, measure, weir_cell(top, measure, row)));
		}
	}
	return true;
}
