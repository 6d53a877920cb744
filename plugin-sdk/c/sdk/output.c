/* Metrics, reports, artefacts and log lines. */
#include "internal.h"

#include <stdarg.h>
#include <stdlib.h>

typedef weir_plugin_output_list_label_t labels;

/* Names and values in turn, up to a NULL. Where a value is NULL, whatever was to give it has failed. */
static bool pairs_of(const char *const *pairs, labels *to)
{
	size_t count = 0;
	for (; pairs[2 * count]; count++)
		if (!pairs[2 * count + 1])
			return weir_last_failure().reason ? false : weir_fail("failed", "a label has no value");
	to->ptr = weir_alloc(count * sizeof(*to->ptr));
	to->len = count;
	for (size_t i = 0; i < count; i++) {
		to->ptr[i].name = weir_to_host(pairs[2 * i]);
		to->ptr[i].value = weir_to_host(pairs[2 * i + 1]);
	}
	return true;
}

/* What pairs_of took, which a plugin with thousands of series would miss. */
static bool done(labels *list, bool taken, refusal *why)
{
	free(list->ptr);
	return taken || weir_refused(why);
}

bool weir_put_add(const char *metric, double delta, const char *const *pairs)
{
	refusal why;
	labels list;
	plugin_string_t name = weir_to_host(metric);
	return pairs_of(pairs, &list) && done(&list, weir_plugin_output_add(&name, &list, delta, &why), &why);
}

bool weir_put_gauge(const char *metric, double value, const char *const *pairs)
{
	refusal why;
	labels list;
	plugin_string_t name = weir_to_host(metric);
	return pairs_of(pairs, &list) && done(&list, weir_plugin_output_gauge(&name, &list, value, &why), &why);
}

bool weir_put_histogram(const char *metric, const weir_table *table, uint32_t row, const char *column,
                        const char *const *pairs)
{
	refusal why;
	labels list;
	plugin_string_t name = weir_to_host(metric);
	const weir_column *of = weir_find(table, column);
	if (!of || !pairs_of(pairs, &list))
		return false;
	bool taken = weir_plugin_output_histogram(&name, &list, table->number, row, of->number, &why);
	return done(&list, taken, &why);
}

bool weir_put_report(weir_level level, const char *code, const char *title, const char *const *pairs)
{
	refusal why;
	labels list;
	if (!title || !pairs_of(pairs, &list))
		return false;
	plugin_string_t code_string = weir_to_host(code), title_string = weir_to_host(title);
	bool taken = weir_plugin_output_report((uint8_t)level, &code_string, &title_string, &list, &why);
	return done(&list, taken, &why);
}

void weir_field(weir_fields *fields, const char *name, const char *format, ...)
{
	fields->pairs = weir_grow(fields->pairs, (2 * fields->count + 3) * sizeof(*fields->pairs));
	va_list arguments;
	va_start(arguments, format);
	fields->pairs[2 * fields->count] = name;
	fields->pairs[2 * fields->count + 1] = weir_format_list(format, arguments);
	fields->pairs[2 * fields->count + 2] = NULL;
	va_end(arguments);
	fields->count++;
}

bool weir_report_fields(weir_level level, const char *code, const char *title, const weir_fields *fields)
{
	static const char *const none[] = { NULL };
	return weir_put_report(level, code, title, fields->count ? fields->pairs : none);
}

bool weir_artefact(const char *name, const char *media_type, const void *chunk, size_t size)
{
	refusal why;
	plugin_string_t name_string = weir_to_host(name), type_string = weir_to_host(media_type);
	plugin_list_u8_t bytes = { (uint8_t *)chunk, size };
	return weir_plugin_output_artefact(&name_string, &type_string, &bytes, &why) || weir_refused(&why);
}

void weir_log(weir_level level, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	plugin_string_t message = weir_to_host(weir_format_list(format, arguments));
	va_end(arguments);
	weir_plugin_output_log((uint8_t)level, &message);
}
