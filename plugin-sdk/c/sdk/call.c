/* What a call begins and ends with, and why something in it failed. */
#include "internal.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>

static weir_failure last;

bool weir_fail(const char *reason, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	last = (weir_failure){ reason, weir_format_list(format, arguments) };
	va_end(arguments);
	return false;
}

weir_failure weir_last_failure(void)
{
	return last;
}

/* Keeps why the host refused something. */
bool weir_refused(refusal *why)
{
	last = (weir_failure){ weir_from_host(why->reason), weir_from_host(why->message) };
	return false;
}

_Noreturn void weir_assertion(const char *condition, const char *file, int line)
{
	weir_log(WEIR_CRITICAL, "%s:%d: %s does not hold", file, line, condition);
	abort();
}

__attribute__((weak)) bool weir_configure(void)
{
	return true;
}

static bool tell(bool well, refusal *why)
{
	if (well)
		return true;
	plugin_string_t reason = weir_to_host(last.reason ? last.reason : "failed");
	plugin_string_t message = weir_to_host(last.message ? last.message : "the plugin does not say why");
	/* The bindings free them. */
	plugin_string_dup_n(&why->reason, (const char *)reason.ptr, reason.len);
	plugin_string_dup_n(&why->message, (const char *)message.ptr, message.len);
	return false;
}

bool exports_weir_plugin_analysis_configure(refusal *why)
{
	return tell(weir_configure(), why);
}

bool exports_weir_plugin_analysis_analyze(refusal *why)
{
	return tell(weir_configure() && weir_analyze(), why);
}
