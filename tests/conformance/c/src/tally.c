/* Says of every table what there is to be said, so that all SDKs can be held against each other. */
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "weir.h"

#define PAGE 10000u
#define TOP 10

/* ---- FNV-1a. */

#define FNV_OFFSET UINT64_C(0xcbf29ce484222325)

static uint64_t fnv(uint64_t hash, const void *bytes, size_t size)
{
	const uint8_t *at = bytes;
	for (size_t i = 0; i < size; i++)
		hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
	return hash;
}

static uint64_t bits_of(double value)
{
	uint64_t bits;
	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

/* ---- Columns, by pages. */

static uint32_t page_from(const weir_table *table, uint32_t first)
{
	return table->rows - first < PAGE ? table->rows - first : PAGE;
}

static char *tally_u64(const weir_table *table, const char *column)
{
	uint64_t sum = 0, max = 0;
	for (uint32_t first = 0; first < table->rows; first += PAGE) {
		uint32_t count = page_from(table, first);
		uint64_t *page = weir_page_u64(table, column, first, count);
		if (!page)
			return NULL;
		for (uint32_t i = 0; i < count; i++) {
			sum += page[i];
			max = page[i] > max ? page[i] : max;
		}
		free(page);
	}
	return weir_format("%" PRIu64 " %" PRIu64, sum, max);
}

static char *tally_s64(const weir_table *table, const char *column)
{
	uint64_t sum = 0;
	int64_t min = table->rows ? INT64_MAX : 0;
	for (uint32_t first = 0; first < table->rows; first += PAGE) {
		uint32_t count = page_from(table, first);
		int64_t *page = weir_page_s64(table, column, first, count);
		if (!page)
			return NULL;
		for (uint32_t i = 0; i < count; i++) {
			sum += (uint64_t)page[i];
			min = page[i] < min ? page[i] : min;
		}
		free(page);
	}
	return weir_format("%" PRId64 " %" PRId64, (int64_t)sum, min);
}

static char *tally_f64(const weir_table *table, const char *column)
{
	double sum = 0;
	for (uint32_t first = 0; first < table->rows; first += PAGE) {
		uint32_t count = page_from(table, first);
		double *page = weir_page_f64(table, column, first, count);
		if (!page)
			return NULL;
		for (uint32_t i = 0; i < count; i++)
			if (isfinite(page[i]))
				sum += page[i];
		free(page);
	}
	return weir_format("%016" PRIx64, bits_of(sum));
}

static char *tally_texts(const weir_table *table, const char *column)
{
	uint64_t hash = FNV_OFFSET;
	for (uint32_t first = 0; first < table->rows; first += PAGE) {
		weir_texts *page = weir_page_texts(table, column, first, page_from(table, first));
		if (!page)
			return NULL;
		for (uint32_t i = 0; i < page->rows; i++) {
			weir_text text = weir_text_at(page, i);
			hash = fnv(hash, text.bytes, text.length);
			hash = fnv(hash, "\xff", 1);
		}
		weir_free_texts(page);
	}
	return weir_format("%016" PRIx64, hash);
}

static char *tally_buckets(const weir_table *table, const char *column)
{
	uint64_t hash = FNV_OFFSET, entries = 0, counts = 0, totals = 0;
	for (uint32_t first = 0; first < table->rows; first += PAGE) {
		weir_histograms *page = weir_page_histograms(table, column, first, page_from(table, first));
		if (!page)
			return NULL;
		for (uint32_t i = 0; i < page->rows; i++) {
			weir_histogram histogram = weir_histogram_at(page, i);
			uint32_t row = first + i;
			totals += histogram.total;
			entries += histogram.bucket_count;
			for (uint32_t b = 0; b < histogram.bucket_count; b++) {
				const weir_bucket *bucket = &histogram.buckets[b];
				counts += bucket->count;
				hash = fnv(hash, &row, sizeof(row));
				hash = fnv(hash, &bucket->low, sizeof(bucket->low));
				hash = fnv(hash, &bucket->count, sizeof(bucket->count));
			}
		}
		weir_free_histograms(page);
	}
	return weir_format("%" PRIu64 " %" PRIu64 " %" PRIu64 " %016" PRIx64, entries, counts, totals, hash);
}

static char *tally_column(const weir_table *table, const weir_column *column)
{
	switch (column->kind) {
	case WEIR_U64: return tally_u64(table, column->name);
	case WEIR_S64: return tally_s64(table, column->name);
	case WEIR_F64: return tally_f64(table, column->name);
	case WEIR_TEXT: return tally_texts(table, column->name);
	case WEIR_BUCKETS: return tally_buckets(table, column->name);
	case WEIR_UNKNOWN: break;
	}
	return weir_format("unknown");
}

/* Whether values of different rows add up. */
static bool adds_up(const weir_column *column)
{
	return column->kind == WEIR_U64 && (weir_same(column->role, "count") || weir_same(column->role, "sum"));
}

static const weir_column *next_measure(const weir_table *table, const weir_column *after)
{
	const weir_column *end = table->columns + table->column_count;
	for (const weir_column *column = after ? after + 1 : table->columns; column < end; column++)
		if (adds_up(column))
			return column;
	return NULL;
}

/* The bytes as the host has them, by the bindings. */
static bool raw_of(const weir_table *table, uint64_t *hash)
{
	const weir_column *column = next_measure(table, NULL);
	*hash = FNV_OFFSET;
	if (!column)
		return true;
	for (uint32_t first = 0; first < table->rows; first += PAGE) {
		plugin_list_u8_t page;
		weir_plugin_types_failure_t why;
		uint32_t count = page_from(table, first);
		if (!weir_plugin_tables_read_raw(table->number, column->number, first, count, &page, &why))
			return weir_fail("failed", "%.*s", (int)why.message.len, why.message.ptr);
		*hash = fnv(*hash, page.ptr, page.len);
		plugin_list_u8_free(&page);
	}
	return true;
}

static bool all(void)
{
	weir_interval now = weir_this_interval();
	for (uint32_t i = 0; i < weir_table_count(); i++) {
		weir_table *table;
		weir_coverage coverage;
		weir_fields fields = { 0 };
		uint64_t raw;
		TRY(table = weir_table_at(i));
		TRY(weir_coverage_of(table, &coverage));
		weir_field(&fields, "interval", "%" PRIu64 " %" PRIu64 ".%09" PRIu32 " %s %" PRIu32, now.number,
		           now.began, now.began_nanoseconds, now.is_last ? "true" : "false", now.skipped);
		weir_field(&fields, "rows", "%" PRIu32, table->rows);
		weir_field(&fields, "coverage", "%" PRIu64 " %" PRIu64 " %s", coverage.events, coverage.overflow,
		           coverage.missed_is_known ? weir_format("%" PRIu64, coverage.missed) : "none");
		for (uint32_t c = 0; c < table->column_count; c++) {
			const char *tally;
			TRY(tally = tally_column(table, &table->columns[c]));
			weir_field(&fields, table->columns[c].name, "%s", tally);
		}
		TRY(raw_of(table, &raw));
		weir_field(&fields, "raw", "%016" PRIx64, raw);
		TRY(weir_report_fields(WEIR_INFO, "tally", table->name, &fields));
	}
	return true;
}

/* ---- The same by columns and by questions. */

static char *joined(const uint64_t *values, uint32_t count)
{
	char *text = weir_format("%s", "");
	for (uint32_t i = 0; i < count; i++)
		text = weir_format("%s%s%" PRIu64, text, i ? " " : "", values[i]);
	return text;
}

static uint64_t sum_of(const uint64_t *values, uint32_t rows)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < rows; i++)
		sum += values[i];
	return sum;
}

/* What is seldom done stays out of the loop, whose registers it would take. Gives back the least value that is of interest
 * from then on. */
__attribute__((noinline)) static uint64_t insert(uint64_t *top, uint32_t *count, uint64_t value)
{
	uint32_t place = *count;
	while (place > 0 && top[place - 1] < value)
		place--;
	if (place == TOP)
		return value;
	uint32_t last = *count < TOP ? (*count)++ : TOP - 1;
	memmove(top + place + 1, top + place, (last - place) * sizeof(*top));
	top[place] = value;
	if (*count < TOP)
		return 0;
	return top[TOP - 1] + (top[TOP - 1] < UINT64_MAX);
}

__attribute__((noinline)) static uint32_t biggest(const uint64_t *values, uint32_t rows, uint64_t *top)
{
	uint32_t count = 0;
	uint64_t least = 0;
	for (uint32_t i = 0; i < rows; i++)
		if (values[i] >= least)
			least = insert(top, &count, values[i]);
	return count;
}

static bool by_columns(void)
{
	weir_table *table;
	weir_fields fields = { 0 };
	uint64_t top[TOP];
	uint32_t count = 0, measures = 0;
	TRY(table = weir_table_at(0));
	for (const weir_column *column = NULL; measures < 3 && (column = next_measure(table, column)); measures++) {
		const uint64_t *values;
		TRY(values = weir_read_u64(table, column->name));
		weir_field(&fields, column->name, "%" PRIu64, sum_of(values, table->rows));
		if (!measures)
			count = biggest(values, table->rows, top);
	}
	weir_field(&fields, "top", "%s", joined(top, count));
	return weir_report_fields(WEIR_INFO, "columns", table->name, &fields);
}

static bool by_questions(void)
{
	weir_table *table;
	weir_fields fields = { 0 };
	const char *top = "";
	uint32_t measures = 0;
	TRY(table = weir_table_at(0));
	for (const weir_column *column = NULL; measures < 3 && (column = next_measure(table, column)); measures++) {
		weir_table *sum, *sorted;
		const uint64_t *values;
		TRY(sum = weir_group(table, weir_by(), weir_sum(column->name)));
		TRY(values = weir_read_u64(sum, weir_format("sum(%s)", column->name)));
		weir_field(&fields, column->name, "%" PRIu64, values[0]);
		if (measures)
			continue;
		TRY(sorted = weir_sort_desc(table, column->name, TOP));
		TRY(values = weir_read_u64(sorted, column->name));
		top = joined(values, sorted->rows);
	}
	weir_field(&fields, "top", "%s", top);
	return weir_report_fields(WEIR_INFO, "columns", table->name, &fields);
}

/* ---- Each histogram, added up and by quantiles: by this SDK, and by the host. */

#define SHARES 7

static char *bound(double value)
{
	return isnan(value) ? weir_format("none") : weir_format("%016" PRIx64, bits_of(value));
}

static bool histogram(weir_table *table, const char *column)
{
	static const double shares[SHARES] = { 0, 0.1, 0.3, 0.5, 0.9, 0.99, 1 };
	const weir_histograms *rows;
	weir_fields fields = { 0 };
	uint64_t placed = 0;
	const char *quantiles = "", *asked = "";
	TRY(rows = weir_read_histograms(table, column));
	weir_histogram merged = weir_merge(rows);
	for (uint32_t b = 0; b < merged.bucket_count; b++)
		placed += merged.buckets[b].count;
	for (int i = 0; i < SHARES; i++) {
		weir_table *answer;
		const double *quantile;
		TRY(answer = weir_group(table, weir_by(), weir_quantile_of(column, shares[i])));
		TRY(quantile = weir_read_f64(answer, weir_format("quantile(%s)", column)));
		asked = weir_format("%s%s%s", asked, i ? " " : "", bound(*quantile));
		quantiles = weir_format("%s%s%s", quantiles, i ? " " : "", bound(weir_quantile(merged, shares[i])));
	}
	weir_field(&fields, "merged", "%" PRIu32 " %" PRIu64 " %" PRIu64 " %016" PRIx64, merged.bucket_count, placed,
	           merged.total, bits_of(merged.sum));
	weir_field(&fields, "quantiles", "%s", quantiles);
	weir_field(&fields, "asked", "%s", asked);
	return weir_report_fields(WEIR_INFO, "histograms", weir_format("%s.%s", table->name, column), &fields);
}

static bool histograms(void)
{
	for (uint32_t i = 0; i < weir_table_count(); i++) {
		weir_table *table;
		TRY(table = weir_table_at(i));
		for (uint32_t c = 0; c < table->column_count; c++)
			if (table->columns[c].kind == WEIR_BUCKETS)
				TRY(histogram(table, table->columns[c].name));
	}
	return true;
}

/* ---- What a call leaves behind. */

static bool first_histogram(void)
{
	for (uint32_t i = 0; i < weir_table_count(); i++) {
		weir_table *table;
		TRY(table = weir_table_at(i));
		for (uint32_t c = 0; c < table->column_count && table->rows; c++)
			if (table->columns[c].kind == WEIR_BUCKETS)
				return weir_histogram_row("h", table, 0, table->columns[c].name);
	}
	return true;
}

static bool state(void)
{
	const char *before = weir_load("n", NULL);
	uint64_t calls = before ? strtoull(before, NULL, 10) + 1 : 1;
	const char *number = weir_format("%" PRIu64, calls), *rest = weir_format("%s\n", number);
	TRY(weir_store("n", number, strlen(number)));
	TRY(weir_report(WEIR_INFO, "state", number));
	weir_log(WEIR_DEBUG, "call %s", number);
	TRY(weir_artefact("a.txt", "text/plain", "call ", 5));
	TRY(weir_artefact("a.txt", "text/plain", rest, strlen(rest)));
	TRY(weir_gauge("n", (double)calls, "k", "v"));
	return first_histogram();
}

static bool unknown(void)
{
	uint32_t rows;
	weir_plugin_types_failure_t why;
	if (weir_plugin_tables_rows(99, &rows, &why))
		return weir_fail("failed", "there is a table 99");
	return weir_report(WEIR_INFO, "unknown", weir_format("%.*s", (int)why.reason.len, why.reason.ptr));
}

/* ---- What a plugin should not do. */

static bool fail(void)
{
	return weir_fail("tally", "as asked");
}

static bool trap(void)
{
	assert(!"as asked");
	return true;
}

static bool loop(void)
{
	for (;;)
		;
}

static bool memory(void)
{
	for (;;)
		memset(weir_alloc(1 << 20), 1, 1 << 20);
}

static const struct {
	const char *name;
	bool (*analyze)(void);
} modes[] = {
	{ "all", all },   { "columns", by_columns }, { "questions", by_questions },
	{ "state", state }, { "fail", fail },        { "trap", trap },
	{ "loop", loop }, { "memory", memory },      { "unknown", unknown },
	{ "histograms", histograms },
};

static bool (*mode)(void);

bool weir_configure(void)
{
	const char *name = "all";
	TRY(weir_option_text("mode", &name));
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++)
		if (weir_same(name, modes[i].name))
			mode = modes[i].analyze;
	return mode || weir_wrong_option("mode", "%s is not known", name);
}

bool weir_analyze(void)
{
	return mode();
}
