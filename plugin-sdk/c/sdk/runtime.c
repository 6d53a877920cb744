/* What a plugin has instead of a C library: memory, texts in memory, sorting. The rest of it is print.c.
 *
 * An instance lives for one call, so memory need not be given back. What is, is kept for the next block of about the
 * same size; blocks are neither split nor joined. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#undef memcpy
#undef memmove
#undef memset

#define PAGE ((size_t)65536)
/* The host is asked for this much at a time, as long as it has it. */
#define GROWTH (4 * PAGE)

/* In front of every block; with it, a block's size is a multiple of 16, and so is what it leads to. */
typedef struct header {
	uint32_t size, class;
} header;

typedef struct spare {
	struct spare *next;
} spare;

extern unsigned char __heap_base;

static spare *spares[256];
static uintptr_t used, grown;

/* The size of a block for this many bytes. Sizes have eight steps for each power of two, so an eighth is wasted at
 * most. */
static size_t block_size(size_t size, uint32_t *class)
{
	size_t needed = size + sizeof(header);
	uint32_t shift = needed <= 128 ? 4 : 28 - (uint32_t)__builtin_clz((uint32_t)needed - 1);
	size_t steps = ((needed - 1) >> shift) + 1;
	*class = (shift - 4) * 8 + (uint32_t)steps;
	return steps << shift;
}

static int room_to(uintptr_t wanted)
{
	if (wanted <= grown)
		return 1;
	size_t pages = (wanted - grown + GROWTH - 1) / GROWTH * (GROWTH / PAGE);
	if (__builtin_wasm_memory_grow(0, pages) == SIZE_MAX) {
		pages = (wanted - grown + PAGE - 1) / PAGE;
		if (__builtin_wasm_memory_grow(0, pages) == SIZE_MAX)
			return 0;
	}
	grown += pages * PAGE;
	return 1;
}

void *malloc(size_t size)
{
	if (size > PTRDIFF_MAX / 2)
		return NULL;
	uint32_t class;
	size = block_size(size, &class);
	if (spares[class]) {
		spare *block = spares[class];
		spares[class] = block->next;
		return block;
	}
	if (!grown) {
		used = ((uintptr_t)&__heap_base + 15) & ~(uintptr_t)15;
		grown = __builtin_wasm_memory_size(0) * PAGE;
	}
	if (!room_to(used + sizeof(header) + size))
		return NULL;
	header *block = (header *)(used + sizeof(header));
	used += size;
	*block = (header){ (uint32_t)size, class };
	return block + 1;
}

void free(void *block)
{
	if (!block)
		return;
	uint32_t class = ((header *)block - 1)->class;
	((spare *)block)->next = spares[class];
	spares[class] = block;
}

void *calloc(size_t count, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(count, size, &bytes))
		return NULL;
	void *block = malloc(bytes);
	return block ? memset(block, 0, bytes) : NULL;
}

void *realloc(void *block, size_t size)
{
	if (!block)
		return malloc(size);
	header *old = (header *)block - 1;
	size_t room = old->size - sizeof(header);
	if (size <= room)
		return block;
	if (size > PTRDIFF_MAX / 2)
		return NULL;
	/* The last block grows where it is. */
	if ((uintptr_t)old + old->size == used + sizeof(header)) {
		uint32_t class;
		size_t wanted = block_size(size, &class);
		if (!room_to((uintptr_t)old + wanted))
			return NULL;
		used = (uintptr_t)old + wanted - sizeof(header);
		*old = (header){ (uint32_t)wanted, class };
		return block;
	}
	void *other = malloc(size);
	if (other) {
		memcpy(other, block, room);
		free(block);
	}
	return other;
}

_Noreturn void abort(void)
{
	__builtin_trap();
}

/* Each of the three is one instruction (bulk memory). */
void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
	return __builtin_memcpy(to, from, size);
}

void *memmove(void *to, const void *from, size_t size)
{
	return __builtin_memmove(to, from, size);
}

void *memset(void *to, int byte, size_t size)
{
	return __builtin_memset(to, byte, size);
}

int memcmp(const void *a, const void *b, size_t size)
{
	const unsigned char *x = a, *y = b;
	for (size_t i = 0; i < size; i++)
		if (x[i] != y[i])
			return x[i] - y[i];
	return 0;
}

void *memchr(const void *bytes, int byte, size_t size)
{
	const unsigned char *at = bytes;
	for (size_t i = 0; i < size; i++)
		if (at[i] == (unsigned char)byte)
			return (void *)(at + i);
	return NULL;
}

size_t strlen(const char *text)
{
	size_t length = 0;
	while (text[length])
		length++;
	return length;
}

int strcmp(const char *a, const char *b)
{
	return strncmp(a, b, SIZE_MAX);
}

int strncmp(const char *a, const char *b, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (a[i] != b[i] || !a[i])
			return (unsigned char)a[i] - (unsigned char)b[i];
	return 0;
}

char *strchr(const char *text, int byte)
{
	return memchr(text, byte, strlen(text) + 1);
}

char *strdup(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = malloc(size);
	return copy ? memcpy(copy, text, size) : NULL;
}

/* Merges halves, each sorted in the place of the other. */
static void sort(char *items, char *spare, size_t count, size_t size, int (*compare)(const void *, const void *))
{
	if (count < 2)
		return;
	size_t half = count / 2;
	sort(items, spare, half, size, compare);
	sort(items + half * size, spare, count - half, size, compare);
	memcpy(spare, items, half * size);
	char *left = spare, *left_end = spare + half * size;
	char *right = items + half * size, *right_end = items + count * size;
	while (left < left_end) {
		char **from = right < right_end && compare(right, left) < 0 ? &right : &left;
		memcpy(items, *from, size);
		items += size;
		*from += size;
	}
}

void qsort(void *items, size_t count, size_t size, int (*compare)(const void *, const void *))
{
	char *spare = malloc(count / 2 * size);
	if (!spare)
		abort();
	sort(items, spare, count, size, compare);
	free(spare);
}

unsigned long long strtoull(const char *text, char **end, int base)
{
	unsigned long long value = 0;
	const char *digits = text + (*text == '+'), *at = digits;
	if (base != 10)
		abort();
	for (; *at >= '0' && *at <= '9'; at++) {
		unsigned digit = (unsigned)(*at - '0');
		value = value > (UINT64_MAX - digit) / 10 ? UINT64_MAX : value * 10 + digit;
	}
	if (end)
		*end = (char *)(at > digits ? at : text);
	return value;
}

long long strtoll(const char *text, char **end, int base)
{
	int negative = *text == '-';
	char *stop;
	unsigned long long value = strtoull(text + negative, &stop, base);
	unsigned long long most = INT64_MAX + (unsigned long long)negative;
	if (end)
		*end = stop > text + negative ? stop : (char *)text;
	if (value > most)
		value = most;
	return (long long)(negative ? -value : value);
}

/* What the compiler calls for products of 128 bits, such as those of __builtin_mul_overflow. */
__int128 __multi3(__int128 a, __int128 b)
{
	uint64_t x = (uint64_t)a, y = (uint64_t)b;
	uint64_t x0 = (uint32_t)x, x1 = x >> 32, y0 = (uint32_t)y, y1 = y >> 32;
	uint64_t low = x0 * y0, middle = x1 * y0 + (low >> 32), other = x0 * y1 + (uint32_t)middle;
	uint64_t high = x1 * y1 + (middle >> 32) + (other >> 32);
	high += (uint64_t)(a >> 64) * y + (uint64_t)(b >> 64) * x;
	return (__int128)((unsigned __int128)high << 64 | (other << 32 | (uint32_t)low));
}
