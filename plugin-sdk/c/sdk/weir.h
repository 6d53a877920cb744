/* Write plugins for Weir in C.
 *
 * A plugin defines weir_analyze, which Weir calls at the end of every interval, and weir_configure, if it has
 * options. It sees the tables that it was granted, merged over all CPUs, and answers with metrics, reports and log
 * lines. It can reach nothing else. This is a whole one:
 *
 *     #include "weir.h"
 *
 *     static int64_t calls = 1000;
 *
 *     bool weir_configure(void)
 *     {
 *             return weir_option_integer("calls", &calls);
 *     }
 *
 *     bool weir_analyze(void)
 *     {
 *             weir_table *opens, *busy;
 *             TRY(opens = weir_table_named("opens"));
 *             TRY(busy = weir_sort_desc(weir_filter(opens, weir_gt("calls", calls)), "calls", 10));
 *             for (uint32_t row = 0; row < busy->rows; row++)
 *                     TRY(weir_report(WEIR_WARNING, "busy", weir_key(busy, row),
 *                                     "calls", weir_cell(busy, "calls", row)));
 *             return true;
 *     }
 *
 * Failures. Whatever can fail returns false or NULL, and the SDK keeps why. TRY returns false in its turn, and
 * Weir is told. A NULL table may be passed on: every function of a table then fails too. The output of an analyze
 * that fails is discarded, but for the log.
 *
 * Memory. An instance lives for one call, after which all that it had is gone; so what this SDK gives is never
 * freed, unless it is a page. Pages are the caller's, to be freed before the next one is read. Where memory runs
 * out, the call ends with a fault.
 *
 * Texts. A `const char *` is UTF-8; what is not, is handed to Weir as \xNN. Texts of tables are bytes with a
 * length, and weir_string makes a `const char *` of them.
 *
 * What each call means, and every limit, is written in build/wit/weir.wit. The bindings are in plugin.h: any call can
 * also be made as it is there. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plugin.h"

#define WEIR_FORMAT(at, first) __attribute__((format(printf, at, first)))

/* ---- What a plugin defines. */

/* Looks at the options, and at the tables' columns; they have no rows yet. It is called before anything is
 * attached, and again before each weir_analyze. It can be left out. */
bool weir_configure(void);

/* Looks at an interval's tables, and says something about them. */
bool weir_analyze(void);

/* ---- Failures. */

/* For functions that return bool: goes no further if the call failed. */
#define TRY(call)                     \
	do {                          \
		if (!(call))          \
			return false; \
	} while (0)

typedef struct weir_failure {
	/* A word for programs: unknown, kind, bounds, too-large, quota, option, or one of the plugin's own. */
	const char *reason;
	/* A sentence for people. */
	const char *message;
} weir_failure;

/* Gives up: `return weir_fail("failed", "table %s has no rows", name)`. Always false. */
bool weir_fail(const char *reason, const char *format, ...) WEIR_FORMAT(2, 3);

/* Why the last call that failed did so. */
weir_failure weir_last_failure(void);

/* ---- Texts. */

/* Bytes as the kernel wrote them: most often UTF-8, without a NUL at the end. */
typedef struct weir_text {
	const uint8_t *bytes;
	uint32_t length;
} weir_text;

/* For people: characters as they are, a backslash doubled, \x00 for a NUL, and \xNN for each byte that is no UTF-8. Two
 * different texts never give the same string. */
char *weir_string(weir_text text);

weir_text weir_text_of(const char *string);
bool weir_same_text(weir_text a, weir_text b);

/* Whether two strings are the same: `weir_same(column->role, "count")`. */
bool weir_same(const char *a, const char *b);

/* As sprintf, into a string of its own; what there is of it is in include/stdio.h. */
char *weir_format(const char *format, ...) WEIR_FORMAT(1, 2);

/* malloc that ends the call where memory runs out. */
void *weir_alloc(size_t size);

/* ---- Tables. */

/* How a column is read. */
typedef enum weir_kind { WEIR_U64, WEIR_S64, WEIR_F64, WEIR_TEXT, WEIR_BUCKETS, WEIR_UNKNOWN } weir_kind;

typedef struct weir_column {
	const char *name;
	const char *role; /* overflow, key, count, sum, min, max, avg, stats, hist, lhist, or what a question showed */
	const char *unit; /* such as ns; empty where it is not known */
	weir_kind kind;
	uint32_t number;
} weir_column;

/* A table: one that was granted, or the answer to a question. */
typedef struct weir_table {
	const char *name; /* that of the granted table, also of what was derived from it */
	uint32_t number;
	uint32_t rows; /* the overflow row included, which is the last one if there is one */
	uint32_t column_count;
	const weir_column *columns;
	void **read; /* the columns that were read as a whole, so that none is read twice */
} weir_table;

/* How many tables were granted; weir_table_at gives each, in the order of the grant. */
uint32_t weir_table_count(void);
weir_table *weir_table_at(uint32_t index);

/* The granted table of this name. Fails with `unknown` and the names that there are. */
weir_table *weir_table_named(const char *name);

/* The column of this name. Fails with `unknown` and the names that there are. */
const weir_column *weir_find(const weir_table *table, const char *column);

typedef struct weir_coverage {
	uint64_t events;      /* that were counted */
	uint64_t overflow;    /* of them, those in the overflow row */
	uint64_t missed;      /* skipped by the kernel before Weir saw them */
	bool missed_is_known; /* or this kernel does not tell */
} weir_coverage;

bool weir_coverage_of(const weir_table *table, weir_coverage *coverage);

/* ---- Columns: arrays with a value for each row. */

typedef struct weir_texts {
	uint32_t rows;
	uint32_t words;          /* rows of one code have the same text: do what is the same for it once a word */
	const uint32_t *codes;   /* of each row, a number below `words` */
	const uint32_t *offsets; /* word w is bytes[offsets[w]] up to bytes[offsets[w + 1]] */
	const uint8_t *bytes;
} weir_texts;

/* How many values v were seen with low <= v < high, which is INFINITY in the last bucket there can be. */
typedef struct weir_bucket {
	double low, high;
	uint64_t count;
} weir_bucket;

typedef struct weir_histograms {
	uint32_t rows;
	const uint32_t *offsets; /* row r has buckets[offsets[r]] up to buckets[offsets[r + 1]] */
	const weir_bucket *buckets;
	const double *sums;     /* of each row's values */
	const uint64_t *totals; /* and their number, those that found no bucket included */
} weir_histograms;

/* A whole column, read once however often it is asked for. The kind has to be the column's. */
const uint64_t *weir_read_u64(weir_table *table, const char *column);
const int64_t *weir_read_s64(weir_table *table, const char *column);
const double *weir_read_f64(weir_table *table, const char *column);
const weir_texts *weir_read_texts(weir_table *table, const char *column);
const weir_histograms *weir_read_histograms(weir_table *table, const char *column);

/* `count` rows from `first` on, for tables too large for the plugin's memory. To be freed with free, or as below. */
uint64_t *weir_page_u64(const weir_table *table, const char *column, uint32_t first, uint32_t count);
int64_t *weir_page_s64(const weir_table *table, const char *column, uint32_t first, uint32_t count);
double *weir_page_f64(const weir_table *table, const char *column, uint32_t first, uint32_t count);
weir_texts *weir_page_texts(const weir_table *table, const char *column, uint32_t first, uint32_t count);
weir_histograms *weir_page_histograms(const weir_table *table, const char *column, uint32_t first, uint32_t count);
void weir_free_texts(weir_texts *page);
void weir_free_histograms(weir_histograms *page);

/* The text of a row, and of a code. A row or a code that there is not ends the call. */
weir_text weir_text_at(const weir_texts *texts, uint32_t row);
weir_text weir_word(const weir_texts *texts, uint32_t code);

/* One histogram: its buckets from low to high, without the empty ones. */
typedef struct weir_histogram {
	const weir_bucket *buckets;
	uint32_t bucket_count;
	double sum;
	uint64_t total;
} weir_histogram;

/* That of a row, and that of all rows together. */
weir_histogram weir_histogram_at(const weir_histograms *histograms, uint32_t row);
weir_histogram weir_merge(const weir_histograms *histograms);

/* The upper bound of the bucket in which the smallest value is that at least this share (0 to 1) of those in buckets does
 * not exceed: INFINITY if it is open, NAN if there are none. */
double weir_quantile(weir_histogram histogram, double share);

/* ---- Rows, for tables that are small. */

/* A cell as a string, whatever it holds. */
const char *weir_cell(weir_table *table, const char *column, uint32_t row);

/* All keys of a row as one string for people, never the same for two rows: one key as it is, several as
 * `comm="cat" pid=12`, and `all` where there are none. */
const char *weir_key(weir_table *table, uint32_t row);

/* ---- Questions, answered by the host at native speed. Each answer is a table, so they can be asked of each other:
 *
 *      weir_sort_desc(weir_filter(opens, weir_eq("overflow", 0), weir_gt("calls", 10)), "calls", 10)
 *      weir_group(opens, weir_by("comm"), weir_sum("calls"), weir_quantile_of("latency", 0.99))
 */

typedef struct weir_literal {
	enum { WEIR_UNSIGNED, WEIR_SIGNED, WEIR_FLOAT, WEIR_BYTES } is;
	union {
		uint64_t unsigned_value;
		int64_t signed_value;
		double float_value;
		weir_text text;
	};
} weir_literal;

typedef struct weir_condition {
	const char *column, *op;
	weir_literal value;
} weir_condition;

/* Numbers of all types compare by value, texts (`weir_text` and `const char *`) by their bytes. */
#define weir_eq(column, value) ((weir_condition){ column, "eq", WEIR_LITERAL(value) })
#define weir_ne(column, value) ((weir_condition){ column, "ne", WEIR_LITERAL(value) })
#define weir_lt(column, value) ((weir_condition){ column, "lt", WEIR_LITERAL(value) })
#define weir_le(column, value) ((weir_condition){ column, "le", WEIR_LITERAL(value) })
#define weir_gt(column, value) ((weir_condition){ column, "gt", WEIR_LITERAL(value) })
#define weir_ge(column, value) ((weir_condition){ column, "ge", WEIR_LITERAL(value) })
#define weir_prefix(column, value) ((weir_condition){ column, "prefix", WEIR_LITERAL(value) })

typedef struct weir_aggregate {
	const char *op, *column;
	double argument;
} weir_aggregate;

/* What is made of each group's rows, in a column called `sum(calls)` and so on. weir_count is the number of rows,
 * weir_share the group's sum by that of the whole table. */
#define weir_sum(column) ((weir_aggregate){ "sum", column, 0 })
#define weir_min(column) ((weir_aggregate){ "min", column, 0 })
#define weir_max(column) ((weir_aggregate){ "max", column, 0 })
#define weir_mean(column) ((weir_aggregate){ "mean", column, 0 })
#define weir_share(column) ((weir_aggregate){ "share", column, 0 })
#define weir_count(column) ((weir_aggregate){ "count", column, 0 })
#define weir_quantile_of(column, share) ((weir_aggregate){ "quantile", column, share })

/* The rows for which all conditions hold. */
#define weir_filter(table, ...)                                             \
	weir_ask_filter(table, (const weir_condition[]){ __VA_ARGS__ },     \
	                sizeof((const weir_condition[]){ __VA_ARGS__ }) / sizeof(weir_condition))

/* One row for each combination of values in the columns of weir_by(...); one of all rows if there are none of
 * them. The overflow row's keys read as 0 or empty: have `overflow` among the columns, or filter it out first. */
#define weir_group(table, by, ...)                                          \
	weir_ask_group(table, by, (const weir_aggregate[]){ __VA_ARGS__ },  \
	               sizeof((const weir_aggregate[]){ __VA_ARGS__ }) / sizeof(weir_aggregate))
#define weir_by(...) ((const char *const[]){ __VA_ARGS__ __VA_OPT__(, ) NULL })

/* By the values of a column; the first `limit` rows are kept, all if it is 0. */
weir_table *weir_sort_asc(weir_table *table, const char *column, uint32_t limit);
weir_table *weir_sort_desc(weir_table *table, const char *column, uint32_t limit);

weir_table *weir_ask_filter(weir_table *table, const weir_condition *every, size_t count);
weir_table *weir_ask_group(weir_table *table, const char *const *by, const weir_aggregate *show, size_t count);

/* ---- What the plugin says. */

typedef enum weir_level { WEIR_DEBUG, WEIR_INFO, WEIR_WARNING, WEIR_CRITICAL } weir_level;

/* Labels and fields are given as names and values, all of them strings: `weir_add("errors", 3, "comm", comm)`. */
#define WEIR_PAIRS(...) ((const char *const[]){ __VA_ARGS__ __VA_OPT__(, ) NULL })

/* A counter grew by so much since the last call; the host keeps its total. */
#define weir_add(metric, delta, ...) weir_put_add(metric, delta, WEIR_PAIRS(__VA_ARGS__))
/* A value as it is now. */
#define weir_gauge(metric, value, ...) weir_put_gauge(metric, value, WEIR_PAIRS(__VA_ARGS__))
/* A row's histogram, passed on whole. */
#define weir_histogram_row(metric, table, row, column, ...) \
	weir_put_histogram(metric, table, row, column, WEIR_PAIRS(__VA_ARGS__))
/* For a person to read. `code` names its sort, always the same; `title` is one line; fields are shown in this
 * order. */
#define weir_report(level, code, title, ...) weir_put_report(level, code, title, WEIR_PAIRS(__VA_ARGS__))

bool weir_put_add(const char *metric, double delta, const char *const *labels);
bool weir_put_gauge(const char *metric, double value, const char *const *labels);
bool weir_put_histogram(const char *metric, const weir_table *table, uint32_t row, const char *column,
                        const char *const *labels);
bool weir_put_report(weir_level level, const char *code, const char *title, const char *const *fields);

/* A report whose fields are only known one after the other. */
typedef struct weir_fields {
	const char **pairs;
	size_t count;
} weir_fields;

void weir_field(weir_fields *fields, const char *name, const char *format, ...) WEIR_FORMAT(3, 4);
bool weir_report_fields(weir_level level, const char *code, const char *title, const weir_fields *fields);

/* Appends to a file that this interval leaves behind. */
bool weir_artefact(const char *name, const char *media_type, const void *chunk, size_t size);

/* A line for whoever writes or runs the plugin, kept even if the call fails. */
void weir_log(weir_level level, const char *format, ...) WEIR_FORMAT(2, 3);

/* ---- The interval: the only clock there is. */

typedef struct weir_interval {
	uint64_t number; /* counted from 0 */
	uint64_t began;  /* the wall clock's time at its beginning, since 1970-01-01T00:00:00Z … */
	uint32_t began_nanoseconds;
	double seconds;   /* its length: what to divide by for a rate */
	uint32_t skipped; /* intervals that this plugin was not called for since its last call */
	bool is_last;     /* the run ends with it */
} weir_interval;

weir_interval weir_this_interval(void);

/* ---- State: a few kilobytes that outlive the instance. What a call that fails stored is gone. */

/* What was stored, with a NUL behind it; NULL if nothing was, which is no failure. */
void *weir_load(const char *key, size_t *size);
bool weir_store(const char *key, const void *bytes, size_t size);
void weir_remove(const char *key);

/* ---- Options. Each leaves the value as it is where the option is absent, and fails where it is of another type. */

bool weir_option_text(const char *name, const char **value);
bool weir_option_integer(const char *name, int64_t *value);
bool weir_option_number(const char *name, double *value);
bool weir_option_flag(const char *name, bool *value);

/* Fails with a message that names the option: `return weir_wrong_option("limit", "1 to 100 are possible")`. */
bool weir_wrong_option(const char *name, const char *format, ...) WEIR_FORMAT(2, 3);

/* ---- What the macros above are made of. */

static inline weir_literal weir_of_unsigned(uint64_t value)
{
	return (weir_literal){ .is = WEIR_UNSIGNED, .unsigned_value = value };
}

static inline weir_literal weir_of_signed(int64_t value)
{
	return (weir_literal){ .is = WEIR_SIGNED, .signed_value = value };
}

static inline weir_literal weir_of_float(double value)
{
	return (weir_literal){ .is = WEIR_FLOAT, .float_value = value };
}

static inline weir_literal weir_of_text(weir_text value)
{
	return (weir_literal){ .is = WEIR_BYTES, .text = value };
}

static inline weir_literal weir_of_string(const char *value)
{
	return weir_of_text(weir_text_of(value));
}

#define WEIR_LITERAL(value)                   \
	_Generic((value),                     \
		bool: weir_of_unsigned,       \
		char: weir_of_signed,         \
		signed char: weir_of_signed,          \
		short: weir_of_signed,                \
		int: weir_of_signed,                  \
		long: weir_of_signed,                 \
		long long: weir_of_signed,            \
		unsigned char: weir_of_unsigned,      \
		unsigned short: weir_of_unsigned,     \
		unsigned: weir_of_unsigned,           \
		unsigned long: weir_of_unsigned,      \
		unsigned long long: weir_of_unsigned, \
		float: weir_of_float,                 \
		double: weir_of_float,                \
		char *: weir_of_string,               \
		const char *: weir_of_string,         \
		weir_text: weir_of_text)(value)
