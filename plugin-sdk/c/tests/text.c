#include <string.h>

#include "check.h"
#include "weir.h"

#define SHOWN(bytes, as) CHECK(strcmp(weir_string((weir_text){ (const uint8_t *)(bytes), sizeof(bytes) - 1 }), as) == 0)

void test_text(void)
{
	SHOWN("", "");
	SHOWN("cat", "cat");
	SHOWN("a\\b", "a\\\\b");
	SHOWN("gr\303\274n", "gr\303\274n");
	SHOWN("\n\t\177", "\n\t\177");
	/* It is not where the text ends. */
	SHOWN("a\0b", "a\\x00b");
	SHOWN("a\0c", "a\\x00c");
	SHOWN("a\\x00b", "a\\\\x00b");
	SHOWN("\377", "\\xff");
	SHOWN("\342\202", "\\xe2\\x82");
	SHOWN("\342\202A", "\\xe2\\x82A");
	SHOWN("\300\257", "\\xc0\\xaf");
	SHOWN("\355\240\200", "\\xed\\xa0\\x80");
	SHOWN("\364\220\200\200", "\\xf4\\x90\\x80\\x80");
	CHECK(strcmp(weir_format("%E|%d", 1.5, 7), "1.500000E+00|7") == 0);
}
