/* Histograms of rows, and of all rows together. */
#include "internal.h"

#include <assert.h>
#include <math.h>
#include <string.h>

weir_histogram weir_histogram_at(const weir_histograms *histograms, uint32_t row)
{
	assert(row < histograms->rows);
	uint32_t begin = histograms->offsets[row];
	return (weir_histogram){
		.buckets = histograms->buckets + begin,
		.bucket_count = histograms->offsets[row + 1] - begin,
		.sum = histograms->sums[row],
		.total = histograms->totals[row],
	};
}

weir_histogram weir_merge(const weir_histograms *histograms)
{
	weir_bucket *merged = NULL;
	uint32_t count = 0, room = 0, at = 0, end = histograms->rows ? histograms->offsets[histograms->rows] : 0;
	weir_histogram all = { 0 };
	for (uint32_t row = 0; row < histograms->rows; row++) {
		all.sum += histograms->sums[row];
		all.total += histograms->totals[row];
	}
	/* There are few different buckets, and within a row they ascend: the next one is seldom far. */
	for (uint32_t i = 0; i < end; i++) {
		weir_bucket bucket = histograms->buckets[i];
		while (at > 0 && merged[at - 1].low >= bucket.low)
			at--;
		while (at < count && merged[at].low < bucket.low)
			at++;
		if (at < count && merged[at].low == bucket.low) {
			merged[at].count += bucket.count;
			continue;
		}
		if (count == room) {
			room = room ? 2 * room : 64;
			merged = weir_grow(merged, room * sizeof(*merged));
		}
		memmove(merged + at + 1, merged + at, (count - at) * sizeof(*merged));
		merged[at] = bucket;
		count++;
	}
	all.buckets = merged;
	all.bucket_count = count;
	return all;
}

double weir_quantile(weir_histogram histogram, double share)
{
	uint64_t total = 0, below = 0;
	for (uint32_t i = 0; i < histogram.bucket_count; i++)
		total += histogram.buckets[i].count;
	if (!total)
		return NAN;
	double rank = ceil(share * (double)total);
	uint64_t wanted = !(rank >= 1) ? 1 : rank >= (double)total ? total : (uint64_t)rank;
	for (uint32_t i = 0; i < histogram.bucket_count; i++) {
		below += histogram.buckets[i].count;
		if (below >= wanted)
			return histogram.buckets[i].high;
	}
	return INFINITY;
}
