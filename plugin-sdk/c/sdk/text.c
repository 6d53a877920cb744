/* Strings and the bytes of texts, and the memory for them. */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *weir_alloc(size_t size)
{
	void *block = malloc(size);
	if (!block)
		abort();
	return block;
}

void *weir_grow(void *block, size_t size)
{
	block = realloc(block, size);
	if (!block)
		abort();
	return block;
}

char *weir_format_list(const char *format, va_list arguments)
{
	va_list again;
	va_copy(again, arguments);
	size_t size = (size_t)vsnprintf(NULL, 0, format, arguments) + 1;
	char *text = weir_alloc(size);
	vsnprintf(text, size, format, again);
	va_end(again);
	return text;
}

char *weir_format(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	char *text = weir_format_list(format, arguments);
	va_end(arguments);
	return text;
}

/* A string of the host's, with a NUL behind it. */
char *weir_from_host(plugin_string_t string)
{
	char *text = string.len ? weir_grow(string.ptr, string.len + 1) : weir_alloc(1);
	text[string.len] = 0;
	return text;
}

/* The length of the character that begins here, or 0 if none does. */
static size_t character(const uint8_t *at, size_t length)
{
	uint8_t first = at[0], low = 0x80, high = 0xbf;
	if (first < 0x80)
		return 1;
	size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
	if (first < 0xc2 || first > 0xf4 || size > length)
		return 0;
	/* No overlong forms, no surrogates, nothing beyond U+10FFFF. */
	if (first == 0xe0)
		low = 0xa0;
	else if (first == 0xed)
		high = 0x9f;
	else if (first == 0xf0)
		low = 0x90;
	else if (first == 0xf4)
		high = 0x8f;
	for (size_t i = 1; i < size; i++, low = 0x80, high = 0xbf)
		if (at[i] < low || at[i] > high)
			return 0;
	return size;
}

/* Characters as they are, and each byte that is in none as \xNN, so that what follows is looked at anew. A NUL would be
 * the string's end. */
static plugin_string_t escaped(const uint8_t *bytes, size_t length, bool backslashes)
{
	plugin_string_t to = { weir_alloc(4 * length + 1), 0 };
	for (size_t i = 0; i < length;) {
		size_t size = character(bytes + i, length - i);
		if (!size || !bytes[i]) {
			snprintf((char *)to.ptr + to.len, 5, "\\x%02x", bytes[i]);
			to.len += 4;
			i++;
			continue;
		}
		if (backslashes && bytes[i] == '\\')
			to.ptr[to.len++] = '\\';
		memcpy(to.ptr + to.len, bytes + i, size);
		to.len += size;
		i += size;
	}
	to.ptr[to.len] = 0;
	return to;
}

/* A string for the host, which would end the call for one that is no UTF-8. It is not copied if it is well. */
plugin_string_t weir_to_host(const char *text)
{
	size_t length = strlen(text);
	for (size_t i = 0, size; i < length; i += size) {
		size = character((const uint8_t *)text + i, length - i);
		if (!size)
			return escaped((const uint8_t *)text, length, false);
	}
	return (plugin_string_t){ (uint8_t *)text, length };
}

char *weir_string(weir_text text)
{
	return (char *)escaped(text.bytes, text.length, true).ptr;
}

weir_text weir_text_of(const char *string)
{
	return (weir_text){ (const uint8_t *)string, (uint32_t)strlen(string) };
}

bool weir_same_text(weir_text a, weir_text b)
{
	return a.length == b.length && memcmp(a.bytes, b.bytes, a.length) == 0;
}

bool weir_same(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}
