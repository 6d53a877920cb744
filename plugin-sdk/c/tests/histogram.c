#include <math.h>

#include "check.h"
#include "weir.h"

void test_histogram(void)
{
	/* Two rows, with a value each that found no bucket. */
	static const weir_bucket buckets[] = {
		{ 0, 1, 50 }, { 1, 2, 40 }, { 4, INFINITY, 10 }, { -2, 0, 5 }, { 1, 2, 1 },
	};
	static const uint32_t offsets[] = { 0, 3, 5 };
	static const double sums[] = { 100, -3 };
	static const uint64_t totals[] = { 101, 7 };
	const weir_histograms rows = { 2, offsets, buckets, sums, totals };

	weir_histogram first = weir_histogram_at(&rows, 0);
	CHECK(first.bucket_count == 3 && first.total == 101 && first.sum == 100);
	CHECK(weir_quantile(first, 0) == 1 && weir_quantile(first, 0.5) == 1);
	CHECK(weir_quantile(first, 0.51) == 2 && weir_quantile(first, 0.9) == 2);
	CHECK(isinf(weir_quantile(first, 0.91)) && isinf(weir_quantile(first, 1)));
	CHECK(isnan(weir_quantile((weir_histogram){ 0 }, 0.5)));

	weir_histogram all = weir_merge(&rows);
	CHECK(all.bucket_count == 4 && all.total == 108 && all.sum == 97);
	CHECK(all.buckets[0].low == -2 && all.buckets[0].count == 5);
	CHECK(all.buckets[1].low == 0 && all.buckets[2].count == 41 && all.buckets[3].count == 10);
	CHECK(weir_quantile(all, 0) == 0);
}
