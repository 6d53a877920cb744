/* Questions, asked with places for names. */
#include "internal.h"

/* The answer to a question, under the name of the table that was asked. */
static weir_table *answer(const weir_table *asked, bool answered, uint32_t number, refusal *why)
{
	if (answered)
		return weir_open(number, asked->name);
	weir_refused(why);
	return NULL;
}

static weir_plugin_questions_literal_t literal(const weir_literal *value)
{
	weir_plugin_questions_literal_t to;
	switch (value->is) {
	case WEIR_UNSIGNED:
		to.tag = WEIR_PLUGIN_QUESTIONS_LITERAL_UNSIGNED;
		to.val.unsigned_ = value->unsigned_value;
		break;
	case WEIR_SIGNED:
		to.tag = WEIR_PLUGIN_QUESTIONS_LITERAL_SIGNED;
		to.val.signed_ = value->signed_value;
		break;
	case WEIR_FLOAT:
		to.tag = WEIR_PLUGIN_QUESTIONS_LITERAL_FLOAT;
		to.val.float_ = value->float_value;
		break;
	case WEIR_BYTES:
		to.tag = WEIR_PLUGIN_QUESTIONS_LITERAL_TEXT;
		to.val.text.ptr = (uint8_t *)value->text.bytes;
		to.val.text.len = value->text.length;
		break;
	}
	return to;
}

weir_table *weir_ask_filter(weir_table *table, const weir_condition *every, size_t count)
{
	refusal why;
	uint32_t number;
	weir_plugin_questions_list_condition_t list = { weir_alloc(count * sizeof(*list.ptr)), count };
	for (size_t i = 0; i < count; i++) {
		const weir_column *column = weir_find(table, every[i].column);
		if (!column)
			return NULL;
		list.ptr[i].column = column->number;
		list.ptr[i].op = weir_to_host(every[i].op);
		list.ptr[i].value = literal(&every[i].value);
	}
	if (!table)
		return NULL;
	bool answered = weir_plugin_questions_filter(table->number, &list, &number, &why);
	return answer(table, answered, number, &why);
}

weir_table *weir_ask_group(weir_table *table, const char *const *by, const weir_aggregate *show, size_t count)
{
	refusal why;
	uint32_t number;
	plugin_list_u32_t columns = { NULL, 0 };
	weir_plugin_questions_list_aggregate_t list = { weir_alloc(count * sizeof(*list.ptr)), count };
	while (by[columns.len])
		columns.len++;
	columns.ptr = weir_alloc(columns.len * sizeof(*columns.ptr));
	for (size_t i = 0; i < columns.len; i++) {
		const weir_column *column = weir_find(table, by[i]);
		if (!column)
			return NULL;
		columns.ptr[i] = column->number;
	}
	for (size_t i = 0; i < count; i++) {
		const weir_column *column = weir_find(table, show[i].column);
		if (!column)
			return NULL;
		list.ptr[i].column = column->number;
		list.ptr[i].op = weir_to_host(show[i].op);
		list.ptr[i].argument = show[i].argument;
	}
	if (!table)
		return NULL;
	bool answered = weir_plugin_questions_group(table->number, &columns, &list, &number, &why);
	return answer(table, answered, number, &why);
}

static weir_table *sorted(weir_table *table, const char *column, bool descending, uint32_t limit)
{
	refusal why;
	uint32_t number;
	const weir_column *by = weir_find(table, column);
	if (!by)
		return NULL;
	bool answered = weir_plugin_questions_sort(table->number, by->number, descending, limit, &number, &why);
	return answer(table, answered, number, &why);
}

weir_table *weir_sort_asc(weir_table *table, const char *column, uint32_t limit)
{
	return sorted(table, column, false, limit);
}

weir_table *weir_sort_desc(weir_table *table, const char *column, uint32_t limit)
{
	return sorted(table, column, true, limit);
}
