/* The SDK's snprintf prints what this machine's library does. */
#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "check.h"

/* The SDK's, under the name that it has here. */
int weir_snprintf(char *to, size_t size, const char *format, ...);

/* The arguments behind the formatted one show whether it was taken for what it is. */
#define SAME(format, ...)                                                             \
	do {                                                                          \
		char ours[2048], theirs[2048], what[5000];                            \
		int length = weir_snprintf(ours, sizeof(ours), format, __VA_ARGS__);  \
		int wanted = snprintf(theirs, sizeof(theirs), format, __VA_ARGS__);   \
		snprintf(what, sizeof(what), "%s: %s, not %s", format, ours, theirs); \
		bool same = length == wanted && memcmp(ours, theirs, (size_t)wanted + 1) == 0; \
		check(same, __FILE__, __LINE__, what);                                \
	} while (0)

static void floats(double value)
{
#define FLOAT(conversion)                             \
	SAME("%" conversion "|%d", value, 7);         \
	SAME("%.0" conversion "|%d", value, 7);       \
	SAME("%.3" conversion "|%d", value, 7);       \
	SAME("%#.0" conversion "|%d", value, 7);      \
	SAME("%.20" conversion "|%d", value, 7);      \
	SAME("%+30.4" conversion "|%d", value, 7);    \
	SAME("%-30.2" conversion "|%d", value, 7);    \
	SAME("% 030.1" conversion "|%d", value, 7)
	FLOAT("f");
	FLOAT("F");
	FLOAT("e");
	FLOAT("E");
	FLOAT("g");
	FLOAT("G");
	FLOAT("a");
	FLOAT("A");
}

void test_print(void)
{
	static const double values[] = {
		0, 1, 1.5, 2.5, 0.1, 1.0 / 3, 9.9999, 999999.5, 1e15, 1e16, 1e21, 123456789.125, 5e-5, 1e-300,
		DBL_MAX, DBL_MIN, DBL_MIN / 8, DBL_TRUE_MIN, INFINITY, NAN,
	};
	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		floats(values[i]);
		floats(-values[i]);
	}
	/* Bits without an order, from the constants of Knuth's MMIX. */
	uint64_t bits = 1;
	for (int i = 0; i < 20000; i++) {
		double value;
		bits = bits * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		memcpy(&value, &bits, sizeof(value));
		floats(value);
	}

	SAME("%d %i %u %x %X %o|%s", INT_MIN, 5, UINT_MAX, 255, 255, 8, "end");
	SAME("%hhd %hd %lld %jd|%s", 300, 70000, LLONG_MIN, INTMAX_MAX, "end");
	SAME("%+05d|%-5d|% d|%.3d|%5.3d|%#x|%#o|%*d|%-*d|%.*d|%s", 3, 3, 3, 3, 3, 3, 3, 5, 3, 5, 3, 2, 3, "end");
	SAME("%s|%5s|%-5s|%.2s|%%|%s", "cat", "cat", "cat", "cat", "end");
	SAME("%c|%3c|%-3c|%c|%s", 'a', 'b', 'c', 0, "end");

	char cut[4];
	CHECK(weir_snprintf(cut, sizeof(cut), "%s", "cats") == 4 && strcmp(cut, "cat") == 0);
	CHECK(weir_snprintf(NULL, 0, "%d", 100) == 3);
}
