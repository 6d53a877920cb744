/* Columns, in pages and as a whole. */
#include "internal.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Reading a page of numbers, which is the host's list as it comes. */
#define NUMBERS(type, kind, is)                                                                              \
	type *weir_page_##kind(const weir_table *table, const char *column, uint32_t first, uint32_t count)  \
	{                                                                                                    \
		refusal why;                                                                                 \
		plugin_list_##kind##_t page;                                                                 \
		const weir_column *found = weir_find_as(table, column, is);                                       \
		if (!found)                                                                                  \
			return NULL;                                                                         \
		if (weir_plugin_tables_read_##kind(table->number, found->number, first, count, &page, &why)) \
			return page.len ? (type *)page.ptr : weir_alloc(1);                                  \
		weir_refused(&why);                                                                               \
		return NULL;                                                                                 \
	}

NUMBERS(uint64_t, u64, WEIR_U64)
NUMBERS(int64_t, s64, WEIR_S64)
NUMBERS(double, f64, WEIR_F64)

weir_texts *weir_page_texts(const weir_table *table, const char *column, uint32_t first, uint32_t count)
{
	refusal why;
	weir_plugin_types_texts_t page;
	const weir_column *found = weir_find_as(table, column, WEIR_TEXT);
	if (!found)
		return NULL;
	if (!weir_plugin_tables_read_texts(table->number, found->number, first, count, &page, &why)) {
		weir_refused(&why);
		return NULL;
	}
	weir_texts *texts = weir_alloc(sizeof(*texts));
	*texts = (weir_texts){
		.rows = count,
		.words = page.offsets.len ? page.offsets.len - 1 : 0,
		.codes = page.codes.len ? page.codes.ptr : NULL,
		.offsets = page.offsets.len ? page.offsets.ptr : NULL,
		.bytes = page.bytes.len ? page.bytes.ptr : NULL,
	};
	return texts;
}

weir_histograms *weir_page_histograms(const weir_table *table, const char *column, uint32_t first, uint32_t count)
{
	refusal why;
	weir_plugin_types_buckets_t page;
	const weir_column *found = weir_find_as(table, column, WEIR_BUCKETS);
	if (!found)
		return NULL;
	if (!weir_plugin_tables_read_buckets(table->number, found->number, first, count, &page, &why)) {
		weir_refused(&why);
		return NULL;
	}
	weir_bucket *buckets = weir_alloc(page.counts.len * sizeof(*buckets));
	for (size_t i = 0; i < page.counts.len; i++) {
		uint32_t bucket = page.bucket.ptr[i];
		buckets[i].low = page.lower.ptr[bucket];
		buckets[i].high = bucket + 1 < page.lower.len ? page.lower.ptr[bucket + 1] : INFINITY;
		buckets[i].count = page.counts.ptr[i];
	}
	weir_histograms *histograms = weir_alloc(sizeof(*histograms));
	*histograms = (weir_histograms){
		.rows = count,
		.offsets = page.offsets.len ? page.offsets.ptr : NULL,
		.buckets = buckets,
		.sums = page.sums.len ? page.sums.ptr : NULL,
		.totals = page.totals.len ? page.totals.ptr : NULL,
	};
	plugin_list_f64_free(&page.lower);
	plugin_list_u32_free(&page.bucket);
	plugin_list_u64_free(&page.counts);
	return histograms;
}

void weir_free_texts(weir_texts *page)
{
	free((void *)page->codes);
	free((void *)page->offsets);
	free((void *)page->bytes);
	free(page);
}

void weir_free_histograms(weir_histograms *page)
{
	free((void *)page->offsets);
	free((void *)page->buckets);
	free((void *)page->sums);
	free((void *)page->totals);
	free(page);
}

/* How columns of one kind are read, and how the second half of one is put behind the first. */
typedef struct reading {
	weir_kind kind;
	void *(*page)(const weir_table *table, const char *column, uint32_t first, uint32_t count);
	void *(*join)(void *a, uint32_t rows_of_a, void *b, uint32_t rows_of_b);
} reading;

/* In as few pages as the host allows: all at once, or, if that is too large, its halves. */
static void *read_rows(const reading *how, const weir_table *table, const char *column, uint32_t first, uint32_t count)
{
	void *rows = how->page(table, column, first, count);
	if (rows || count < 2 || !weir_same(weir_last_failure().reason, "too-large"))
		return rows;
	uint32_t half = count / 2;
	void *a = read_rows(how, table, column, first, half);
	void *b = a ? read_rows(how, table, column, first + half, count - half) : NULL;
	return b ? how->join(a, half, b, count - half) : NULL;
}

static void *read_column(const reading *how, weir_table *table, const char *column)
{
	const weir_column *found = weir_find_as(table, column, how->kind);
	if (!found)
		return NULL;
	void **read = &table->read[found->number];
	if (!*read)
		*read = read_rows(how, table, column, 0, table->rows);
	return *read;
}

/* Puts one array behind another, and frees the other. */
static void *append(const void *a, size_t count_a, const void *b, size_t count_b, size_t size)
{
	char *both = weir_grow((void *)a, (count_a + count_b) * size);
	if (count_b)
		memcpy(both + count_a * size, b, count_b * size);
	free((void *)b);
	return both;
}

/* All numbers are as wide. */
static void *join_numbers(void *a, uint32_t rows_of_a, void *b, uint32_t rows_of_b)
{
	return append(a, rows_of_a, b, rows_of_b, sizeof(uint64_t));
}

/* The codes of the second half follow those of the first. */
static void *join_texts(void *first, uint32_t rows_of_a, void *second, uint32_t rows_of_b)
{
	weir_texts *a = first, *b = second;
	uint32_t *codes = (uint32_t *)b->codes, *offsets = (uint32_t *)b->offsets;
	uint32_t bytes = a->offsets[a->words], more = offsets[b->words];
	for (uint32_t i = 0; i < rows_of_b; i++)
		codes[i] += a->words;
	for (uint32_t i = 0; i <= b->words; i++)
		offsets[i] += bytes;
	a->codes = append(a->codes, rows_of_a, codes, rows_of_b, sizeof(*codes));
	/* The first of the one is the last of the other. */
	a->offsets = append(a->offsets, a->words, offsets, b->words + 1, sizeof(*offsets));
	a->bytes = append(a->bytes, bytes, b->bytes, more, 1);
	a->rows += b->rows;
	a->words += b->words;
	free(b);
	return a;
}

static void *join_histograms(void *first, uint32_t rows_of_a, void *second, uint32_t rows_of_b)
{
	weir_histograms *a = first, *b = second;
	uint32_t *offsets = (uint32_t *)b->offsets;
	uint32_t buckets = a->offsets[rows_of_a], more = offsets[rows_of_b];
	for (uint32_t i = 0; i <= rows_of_b; i++)
		offsets[i] += buckets;
	a->offsets = append(a->offsets, rows_of_a, offsets, rows_of_b + 1, sizeof(*offsets));
	a->buckets = append(a->buckets, buckets, b->buckets, more, sizeof(*a->buckets));
	a->sums = append(a->sums, rows_of_a, b->sums, rows_of_b, sizeof(*a->sums));
	a->totals = append(a->totals, rows_of_a, b->totals, rows_of_b, sizeof(*a->totals));
	a->rows += b->rows;
	free(b);
	return a;
}

#define READING(type, name, is, join)                                                                                \
	static void *page_##name(const weir_table *table, const char *column, uint32_t first, uint32_t count)        \
	{                                                                                                            \
		return weir_page_##name(table, column, first, count);                                                \
	}                                                                                                            \
	const type *weir_read_##name(weir_table *table, const char *column)                                          \
	{                                                                                                            \
		static const reading how = { is, page_##name, join };                                                \
		return read_column(&how, table, column);                                                             \
	}

READING(uint64_t, u64, WEIR_U64, join_numbers)
READING(int64_t, s64, WEIR_S64, join_numbers)
READING(double, f64, WEIR_F64, join_numbers)
READING(weir_texts, texts, WEIR_TEXT, join_texts)
READING(weir_histograms, histograms, WEIR_BUCKETS, join_histograms)

weir_text weir_word(const weir_texts *texts, uint32_t code)
{
	assert(code < texts->words);
	uint32_t begin = texts->offsets[code];
	return (weir_text){ texts->bytes + begin, texts->offsets[code + 1] - begin };
}

weir_text weir_text_at(const weir_texts *texts, uint32_t row)
{
	assert(row < texts->rows);
	return weir_word(texts, texts->codes[row]);
}
