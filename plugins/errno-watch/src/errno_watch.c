/* Whose system calls fail, and how; with warnings of errors that are new, or far more frequent than usual. */
#include <inttypes.h>
#include <string.h>

#include "known.h"
#include "weir.h"

/* Of so many warnings in an interval nobody reads more. */
#define WARNINGS 20
/* System calls that a warning names. */
#define CALLS 3

static int64_t limit = 10, least = 10, learn = 5;
static double factor = 5;
static const char *ignore = "EAGAIN,EINTR";

bool weir_configure(void)
{
	TRY(weir_option_integer("limit", &limit));
	TRY(weir_option_number("factor", &factor));
	TRY(weir_option_integer("least", &least));
	TRY(weir_option_integer("learn", &learn));
	TRY(weir_option_text("ignore", &ignore));
	if (limit < 1 || limit > 25)
		return weir_wrong_option("limit", "%" PRId64 " failures; 1 to 25 are possible", limit);
	if (!(factor > 1))
		return weir_wrong_option("factor", "%g times as often is no more; above 1 is needed", factor);
	if (least < 1)
		return weir_wrong_option("least", "%" PRId64 " failures; at least 1 is needed", least);
	if (learn < 1 || learn > 1000)
		return weir_wrong_option("learn", "%" PRId64 " intervals; 1 to 1000 are possible", learn);

	/* It has no rows yet, but columns of a kind. */
	weir_table *errors;
	TRY(errors = weir_table_named("errors"));
	TRY(weir_read_texts(errors, "comm"));
	TRY(weir_read_texts(errors, "call"));
	TRY(weir_read_texts(errors, "error"));
	TRY(weir_read_u64(errors, "failures"));
	return true;
}

/* Whether an error is in the option's list. */
static bool is_ignored(weir_text error)
{
	for (const char *at = ignore; *at;) {
		const char *end = strchr(at, ',');
		size_t length = end ? (size_t)(end - at) : strlen(at);
		while (length && *at == ' ')
			at++, length--;
		while (length && at[length - 1] == ' ')
			length--;
		if (weir_same_text(error, (weir_text){ (const uint8_t *)at, (uint32_t)length }))
			return true;
		at = end ? end + 1 : at + length;
	}
	return false;
}

/* Counts each error, and those that are in the overflow row as an error of their own. */
static bool count(weir_table *errors)
{
	weir_table *by_error;
	const uint64_t *overflow, *failures;
	TRY(by_error = weir_group(errors, weir_by("overflow", "error"), weir_sum("failures")));
	TRY(overflow = weir_read_u64(by_error, "overflow"));
	TRY(failures = weir_read_u64(by_error, "sum(failures)"));
	for (uint32_t row = 0; row < by_error->rows; row++) {
		const char *error = overflow[row] ? "other" : weir_cell(by_error, "error", row);
		TRY(weir_add("errors_total", (double)failures[row], "errno", error));
	}
	return true;
}

/* The system calls that failed so, the most frequent first. */
static const char *calls_of(weir_table *errors, weir_text comm, weir_text error)
{
	const char *calls = NULL;
	weir_table *of = weir_filter(errors, weir_eq("comm", comm), weir_eq("error", error));
	weir_table *top = weir_sort_desc(of, "failures", CALLS);
	for (uint32_t row = 0; top && row < top->rows; row++) {
		const char *call = weir_cell(top, "call", row), *failures = weir_cell(top, "failures", row);
		if (!call || !failures)
			return NULL;
		calls = weir_format("%s%s%s (%s)", calls ? calls : "", calls ? ", " : "", call, failures);
	}
	return calls;
}

/* Of an error that is new (nothing is usual then), or more frequent than usual. */
static bool warn(weir_table *errors, weir_text comm, weir_text error, uint64_t failures, double rate, double usual)
{
	const char *who = weir_string(comm), *what = weir_string(error), *calls;
	const char *code = "new-error", *title = weir_format("%s: %s is new", who, what);
	weir_fields fields = { 0 };
	TRY(calls = calls_of(errors, comm, error));
	weir_field(&fields, "comm", "%s", who);
	weir_field(&fields, "errno", "%s", what);
	weir_field(&fields, "failures", "%" PRIu64, failures);
	if (usual > 0) {
		code = "more-errors";
		title = weir_format("%s: %s is %.1f times as frequent as usual", who, what, rate / usual);
		weir_field(&fields, "rate", "%.1f a second", rate);
		weir_field(&fields, "usual", "%.1f a second", usual);
	}
	weir_field(&fields, "calls", "%s", calls);
	return weir_report_fields(WEIR_WARNING, code, title, &fields);
}

/* Compares each process's errors with what is known of them, and remembers them. */
static bool watch(weir_table *errors, const weir_interval *now)
{
	weir_table *pairs;
	const weir_texts *comms, *names;
	const uint64_t *failures;
	uint32_t warnings = 0;
	TRY(known_load());
	TRY(pairs = weir_group(errors, weir_by("comm", "error"), weir_sum("failures")));
	TRY(pairs = weir_sort_desc(pairs, "sum(failures)", KNOWN));
	TRY(comms = weir_read_texts(pairs, "comm"));
	TRY(names = weir_read_texts(pairs, "error"));
	TRY(failures = weir_read_u64(pairs, "sum(failures)"));

	bool learned = known_intervals() >= learn;
	for (uint32_t row = 0; row < pairs->rows; row++) {
		weir_text comm = weir_text_at(comms, row), error = weir_text_at(names, row);
		known *pair = known_find(comm, error);
		bool is_new = !pair;
		if (is_new)
			pair = known_add(comm, error);
		double rate = (double)failures[row] / now->seconds, usual = pair->usual;
		/* The last interval is cut short, often so short that a rate means nothing. */
		bool is_more = !is_new && rate > factor * usual && !now->is_last;
		known_touch(pair, rate);
		if (!learned || !(is_new || is_more) || failures[row] < (uint64_t)least || is_ignored(error))
			continue;
		if (++warnings <= WARNINGS)
			TRY(warn(errors, comm, error, failures[row], rate, usual));
	}
	if (warnings > WARNINGS) {
		const char *title = weir_format("%u more errors are new or unusual", warnings - WARNINGS);
		TRY(weir_report(WEIR_WARNING, "more-warnings", title));
	}
	return known_store();
}

/* Shows the most frequent failures, and what they do not show. */
static bool show(weir_table *errors, const weir_interval *now)
{
	weir_table *top;
	weir_coverage coverage;
	weir_fields fields = { 0 };
	TRY(weir_coverage_of(errors, &coverage));
	TRY(top = weir_sort_desc(errors, "failures", (uint32_t)limit));
	for (uint32_t row = 0; row < top->rows; row++) {
		const char *failures = weir_cell(top, "failures", row), *key = weir_key(top, row);
		TRY(failures && key);
		weir_field(&fields, weir_format("%u", row + 1), "%s  %s", failures, key);
	}
	if (coverage.overflow)
		weir_field(&fields, "overflow", "%" PRIu64 " failures found no row of their own", coverage.overflow);
	if (!coverage.missed_is_known)
		weir_field(&fields, "missed", "this kernel does not tell");
	else if (coverage.missed)
		weir_field(&fields, "missed", "%" PRIu64 " events were skipped by the kernel", coverage.missed);
	if (now->skipped)
		weir_field(&fields, "skipped", "%" PRIu32 " intervals before this one", now->skipped);

	const char *title = "no system call failed";
	if (coverage.events)
		title = weir_format("%" PRIu64 " system call%s failed, %.1f a second", coverage.events,
		                    coverage.events == 1 ? "" : "s", (double)coverage.events / now->seconds);
	return weir_report_fields(WEIR_INFO, "errors", title, &fields);
}

bool weir_analyze(void)
{
	weir_interval now = weir_this_interval();
	weir_table *errors;
	TRY(errors = weir_table_named("errors"));
	TRY(count(errors));
	/* The keys of the overflow row are nobody's. */
	TRY(errors = weir_filter(errors, weir_eq("overflow", 0)));
	TRY(watch(errors, &now));
	return show(errors, &now);
}
