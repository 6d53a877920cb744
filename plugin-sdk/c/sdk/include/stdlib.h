/* What of <stdlib.h> a plugin has. */
#pragma once
#include <stddef.h>

/* NULL if the plugin's memory limit is reached. Blocks are aligned to 16 bytes. */
void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *block, size_t size);
/* The block goes to the next that asks for about as much; memory is never given back to the host. */
void free(void *block);

/* Ends the call: its output is discarded, and the host reports a fault `trap`. */
_Noreturn void abort(void);

/* Stable: what compares as equal stays in its order. */
void qsort(void *items, size_t count, size_t size, int (*compare)(const void *, const void *));

/* A number in decimal, with a sign or without. What is beyond the type's range gives its end. `base` has to be 10. */
long long strtoll(const char *text, char **end, int base);
unsigned long long strtoull(const char *text, char **end, int base);
