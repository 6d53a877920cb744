/* The operator's settings. */
#include "internal.h"

#include <stdarg.h>

bool weir_wrong_option(const char *name, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	char *what = weir_format_list(format, arguments);
	va_end(arguments);
	return weir_fail("option", "option %s: %s", name, what);
}

/* An option that was not of the type it was asked for is absent, or of another. */
static bool absent(const char *option, const char *wanted)
{
	plugin_string_t name = weir_to_host(option), text;
	int64_t integer;
	double number;
	bool flag;
	const char *is = weir_plugin_options_text(&name, &text)       ? "a text"
	                 : weir_plugin_options_integer(&name, &integer) ? "an integer"
	                 : weir_plugin_options_number(&name, &number)   ? "a number"
	                 : weir_plugin_options_flag(&name, &flag)       ? "true or false"
	                                                                : NULL;
	return is ? weir_wrong_option(option, "%s is needed, and this is %s", wanted, is) : true;
}

/* What is not given would be written to the value as anything. */
bool weir_option_text(const char *option, const char **value)
{
	plugin_string_t name = weir_to_host(option), given;
	if (!weir_plugin_options_text(&name, &given))
		return absent(option, "a text");
	*value = weir_from_host(given);
	return true;
}

bool weir_option_integer(const char *option, int64_t *value)
{
	plugin_string_t name = weir_to_host(option);
	int64_t given;
	if (!weir_plugin_options_integer(&name, &given))
		return absent(option, "an integer");
	*value = given;
	return true;
}

bool weir_option_number(const char *option, double *value)
{
	plugin_string_t name = weir_to_host(option);
	double given;
	if (!weir_plugin_options_number(&name, &given))
		return absent(option, "a number");
	*value = given;
	return true;
}

bool weir_option_flag(const char *option, bool *value)
{
	plugin_string_t name = weir_to_host(option);
	bool given;
	if (!weir_plugin_options_flag(&name, &given))
		return absent(option, "true or false");
	*value = given;
	return true;
}
