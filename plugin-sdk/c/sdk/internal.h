/* What the files of this SDK share. */
#pragma once

#include <stdarg.h>

#include "weir.h"

typedef weir_plugin_types_failure_t refusal;

/* realloc that ends the call where memory runs out. */
void *weir_grow(void *block, size_t size);

char *weir_format_list(const char *format, va_list arguments) WEIR_FORMAT(1, 0);

/* A string of the host's, with a NUL behind it; the host's is used up. */
char *weir_from_host(plugin_string_t string);

/* A string for the host, which would end the call for one that is no UTF-8. It is not copied if it is well. */
plugin_string_t weir_to_host(const char *text);

/* Keeps why the host refused something. Always false. */
bool weir_refused(refusal *why);

/* The table of this number, under a name. */
weir_table *weir_open(uint32_t number, const char *name);

/* The column, if it is of this kind. */
const weir_column *weir_find_as(const weir_table *table, const char *column, weir_kind kind);
