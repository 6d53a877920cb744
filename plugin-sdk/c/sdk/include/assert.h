/* What does not hold is logged with its place, and ends the call as abort() does. */
#pragma once

_Noreturn void weir_assertion(const char *condition, const char *file, int line);

#undef assert
#ifdef NDEBUG
#define assert(condition) ((void)0)
#else
#define assert(condition) ((condition) ? (void)0 : weir_assertion(#condition, __FILE_NAME__, __LINE__))
#endif
#if !defined(static_assert) && __STDC_VERSION__ < 202311L
#define static_assert _Static_assert
#endif
