/* What is remembered of errors from interval to interval: who got them, and how often that is usual. */
#pragma once

#include "weir.h"

/* A process and an error that it got. */
typedef struct known {
	char comm[16], error[24];
	double usual;     /* failures a second, in the intervals that had any */
	uint32_t seen;    /* how many intervals that were */
	uint32_t unseen;  /* intervals since the last of them */
} known;

/* As many as the state has room for. */
#define KNOWN 1024

/* How many intervals were seen before this one. */
uint32_t known_intervals(void);

/* Reads what was remembered, and begins an interval. */
bool known_load(void);

/* The one of this process and error; NULL if they were not seen together. */
known *known_find(weir_text comm, weir_text error);

/* A new one, in the place of that which was not seen for the longest time if there is no room. There has to be one
 * that was not seen in this interval, so no more than KNOWN can be added or touched in one. */
known *known_add(weir_text comm, weir_text error);

/* It was seen in this interval, failing so often a second. */
void known_touch(known *pair, double rate);

bool known_store(void);
