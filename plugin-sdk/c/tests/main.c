#include <stdio.h>

#include "check.h"

/* What is wrong with one conversion is wrong thousands of times. */
#define MOST 20

static int failed;

void check(bool holds, const char *file, int line, const char *what)
{
	if (holds)
		return;
	if (failed++ < MOST)
		fprintf(stderr, "%s:%d: %s\n", file, line, what);
}

int main(void)
{
	test_print();
	test_text();
	test_histogram();
	return failed > 0;
}
