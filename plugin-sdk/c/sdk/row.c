/* Cells and keys as people read them. */
#include "internal.h"

#include <assert.h>
#include <string.h>

const char *weir_cell(weir_table *table, const char *column, uint32_t row)
{
	const weir_column *found = weir_find(table, column);
	const void *read = NULL;
	if (!found)
		return NULL;
	assert(row < table->rows);
	switch (found->kind) {
	case WEIR_U64:
		read = weir_read_u64(table, column);
		return read ? weir_format("%llu", ((const uint64_t *)read)[row]) : NULL;
	case WEIR_S64:
		read = weir_read_s64(table, column);
		return read ? weir_format("%lld", ((const int64_t *)read)[row]) : NULL;
	case WEIR_F64:
		read = weir_read_f64(table, column);
		return read ? weir_format("%.15g", ((const double *)read)[row]) : NULL;
	case WEIR_TEXT:
		read = weir_read_texts(table, column);
		return read ? weir_string(weir_text_at(read, row)) : NULL;
	case WEIR_BUCKETS:
		read = weir_read_histograms(table, column);
		return read ? weir_format("%llu values", ((const weir_histograms *)read)->totals[row]) : NULL;
	case WEIR_UNKNOWN:
		break;
	}
	weir_fail("kind", "column %s is of a kind that this plugin does not know", column);
	return NULL;
}

/* In quotes, so that a text cannot look like the key after it. */
static const char *quoted(const char *text)
{
	char *to = weir_alloc(2 * strlen(text) + 3), *at = to;
	*at++ = '"';
	for (; *text; text++) {
		if (*text == '"')
			*at++ = '\\';
		*at++ = *text;
	}
	*at++ = '"';
	*at = 0;
	return to;
}

const char *weir_key(weir_table *table, uint32_t row)
{
	const char *key = NULL;
	uint32_t keys = 0;
	if (!table)
		return NULL;
	for (uint32_t i = 0; i < table->column_count; i++)
		keys += weir_same(table->columns[i].role, "key");
	for (uint32_t i = 0; i < table->column_count; i++) {
		const weir_column *column = &table->columns[i];
		if (!weir_same(column->role, "key"))
			continue;
		const char *cell = weir_cell(table, column->name, row);
		if (!cell || keys == 1)
			return cell;
		const char *value = column->kind == WEIR_TEXT ? quoted(cell) : cell;
		key = weir_format("%s%s%s=%s", key ? key : "", key ? " " : "", column->name, value);
	}
	return key ? key : "all";
}
