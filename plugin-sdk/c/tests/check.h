/* What the SDK's own tests are made of. They run on the machine that builds, without Weir. */
#pragma once

#include <stdbool.h>

/* Says what does not hold, and goes on. */
void check(bool holds, const char *file, int line, const char *what);

#define CHECK(condition) check(condition, __FILE__, __LINE__, #condition)

void test_print(void);
void test_text(void);
void test_histogram(void);
