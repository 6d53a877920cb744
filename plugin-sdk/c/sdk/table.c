/* Tables and their columns by name. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

/* Which names there are, for a message. */
static char *joined(const char *text, const char *name)
{
	return text ? weir_format("%s, %s", text, name) : weir_format("%s", name);
}

static const char *const kinds[] = { "u64", "s64", "f64", "text", "buckets", "an unknown kind" };

static weir_kind kind_of(const char *name)
{
	weir_kind kind = WEIR_U64;
	while (kind < WEIR_UNKNOWN && !weir_same(name, kinds[kind]))
		kind++;
	return kind;
}

weir_table *weir_open(uint32_t number, const char *name)
{
	refusal why;
	weir_plugin_tables_list_column_t list;
	weir_table *table = weir_alloc(sizeof(*table));
	if (!weir_plugin_tables_columns(number, &list, &why) || !weir_plugin_tables_rows(number, &table->rows, &why)) {
		weir_refused(&why);
		return NULL;
	}
	weir_column *columns = weir_alloc(list.len * sizeof(*columns));
	for (uint32_t i = 0; i < list.len; i++)
		columns[i] = (weir_column){
			.name = weir_from_host(list.ptr[i].name),
			.role = weir_from_host(list.ptr[i].role),
			.unit = weir_from_host(list.ptr[i].unit),
			.kind = kind_of(weir_from_host(list.ptr[i].kind)),
			.number = i,
		};
	table->name = name;
	table->number = number;
	table->column_count = list.len;
	table->columns = columns;
	table->read = weir_alloc(list.len * sizeof(*table->read));
	memset(table->read, 0, list.len * sizeof(*table->read));
	return table;
}

static plugin_list_string_t table_names(void)
{
	static plugin_list_string_t names;
	static bool known;
	if (!known) {
		weir_plugin_tables_names(&names);
		for (size_t i = 0; i < names.len; i++)
			names.ptr[i].ptr = (uint8_t *)weir_from_host(names.ptr[i]);
		known = true;
	}
	return names;
}

uint32_t weir_table_count(void)
{
	return table_names().len;
}

weir_table *weir_table_at(uint32_t index)
{
	plugin_list_string_t names = table_names();
	if (index < names.len)
		return weir_open(index, (const char *)names.ptr[index].ptr);
	weir_fail("unknown", "there is no table %u; there are %zu", index, names.len);
	return NULL;
}

weir_table *weir_table_named(const char *name)
{
	plugin_list_string_t names = table_names();
	const char *known = NULL;
	for (uint32_t i = 0; i < names.len; i++) {
		if (weir_same(name, (const char *)names.ptr[i].ptr))
			return weir_table_at(i);
		known = joined(known, (const char *)names.ptr[i].ptr);
	}
	weir_fail("unknown", "there is no table %s; there is %s", name, known ? known : "none");
	return NULL;
}

const weir_column *weir_find(const weir_table *table, const char *column)
{
	const char *known = NULL;
	if (!table || !column)
		return NULL;
	for (uint32_t i = 0; i < table->column_count; i++)
		if (weir_same(column, table->columns[i].name))
			return &table->columns[i];
	for (uint32_t i = 0; i < table->column_count; i++)
		known = joined(known, table->columns[i].name);
	weir_fail("unknown", "there is no column %s in table %s; there is %s", column, table->name, known);
	return NULL;
}

/* The column, if it is of this kind. */
const weir_column *weir_find_as(const weir_table *table, const char *column, weir_kind kind)
{
	const weir_column *found = weir_find(table, column);
	if (!found || found->kind == kind)
		return found;
	weir_fail("kind", "column %s holds %s, not %s", column, kinds[found->kind], kinds[kind]);
	return NULL;
}

bool weir_coverage_of(const weir_table *table, weir_coverage *coverage)
{
	refusal why;
	weir_plugin_tables_coverage_t covered;
	if (!table)
		return false;
	if (!weir_plugin_tables_covered(table->number, &covered, &why))
		return weir_refused(&why);
	*coverage = (weir_coverage){
		.events = covered.events,
		.overflow = covered.overflow,
		.missed = covered.missed.is_some ? covered.missed.val : 0,
		.missed_is_known = covered.missed.is_some,
	};
	return true;
}
