/* What of <stdio.h> a plugin has: texts. It has no files; weir_log is the way to say something. */
#pragma once
#include <stdarg.h>
#include <stddef.h>

/* As in C, for d i u x X o c s p f F e E g G a A and %%, with all flags, widths, precisions and lengths but L. Anything else
 * ends the call, for what comes after it would be read as something that it is not. */
__attribute__((format(printf, 3, 4)))
int snprintf(char *to, size_t size, const char *format, ...);
__attribute__((format(printf, 3, 0)))
int vsnprintf(char *to, size_t size, const char *format, va_list arguments);
