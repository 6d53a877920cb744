#include "known.h"

#include <assert.h>
#include <string.h>

/* The intervals over which what is usual is averaged: an older one counts less and less. */
#define WINDOW 10

static struct {
	uint32_t intervals, count;
	known pairs[KNOWN];
} state;

static_assert(sizeof(state) < 60 << 10, "a plugin's state is 64 KiB");

uint32_t known_intervals(void)
{
	return state.intervals;
}

bool known_load(void)
{
	size_t size;
	const void *stored = weir_load("known", &size);
	memset(&state, 0, sizeof(state));
	if (!stored)
		return true;
	if (size > sizeof(state))
		return weir_fail("failed", "what was stored is no state of this plugin");
	memcpy(&state, stored, size);
	for (uint32_t i = 0; i < state.count; i++)
		state.pairs[i].unseen++;
	return true;
}

/* Names are remembered as far as there is room, which is as long as they get. */
static bool is(const char *name, size_t room, weir_text text)
{
	size_t length = text.length < room ? text.length : room;
	return memcmp(name, text.bytes, length) == 0 && (length == room || name[length] == 0);
}

static void name(char *to, size_t room, weir_text text)
{
	memset(to, 0, room);
	memcpy(to, text.bytes, text.length < room ? text.length : room);
}

known *known_find(weir_text comm, weir_text error)
{
	for (known *pair = state.pairs; pair < state.pairs + state.count; pair++)
		if (is(pair->comm, sizeof(pair->comm), comm) && is(pair->error, sizeof(pair->error), error))
			return pair;
	return NULL;
}

known *known_add(weir_text comm, weir_text error)
{
	known *place = &state.pairs[0];
	if (state.count < KNOWN)
		place = &state.pairs[state.count++];
	else
		for (known *pair = state.pairs; pair < state.pairs + KNOWN; pair++)
			if (pair->unseen > place->unseen)
				place = pair;
	*place = (known){ 0 };
	name(place->comm, sizeof(place->comm), comm);
	name(place->error, sizeof(place->error), error);
	return place;
}

void known_touch(known *pair, double rate)
{
	pair->seen += pair->seen < WINDOW;
	pair->usual += (rate - pair->usual) / pair->seen;
	pair->unseen = 0;
}

bool known_store(void)
{
	state.intervals++;
	return weir_store("known", &state, offsetof(typeof(state), pairs) + state.count * sizeof(known));
}
