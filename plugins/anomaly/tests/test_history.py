import statistics
import unittest

from history import KEY, LONGEST_NAME, History, Series, short


class Test(unittest.TestCase):
    def test_at_first_the_mean_is_a_plain_one(self):
        rates = [3.0, 5.0, 10.0, 2.0]
        series = Series()
        for rate in rates:
            series.learn(rate, span=1000)
        self.assertAlmostEqual(series.mean, statistics.fmean(rates))
        self.assertAlmostEqual(series.variance, statistics.pvariance(rates))

    def test_later_the_last_rates_weigh_most(self):
        series = Series()
        for _ in range(100):
            series.learn(10.0, span=20)
        for _ in range(20):
            series.learn(20.0, span=20)
        self.assertGreater(series.mean, 18)
        for _ in range(200):
            series.learn(20.0, span=20)
        self.assertLess(series.variance, 1e-3)

    def test_a_steady_rate_is_not_held_to_be_exact(self):
        series = Series(1e6, 0.0, 100)
        self.assertAlmostEqual(series.deviation(1.02e6, 1.0, counts=True), 1.0)
        self.assertAlmostEqual(Series(100.0, 0.0, 100).deviation(110.0, 1.0, counts=True), 1.0)
        self.assertAlmostEqual(Series(0.0, 0.0, 100).deviation(3.0, 1.0, counts=False), 3.0)

    def test_what_is_packed_is_unpacked(self):
        history = History(7, 1.5, Series(3.0, 2.0, 7), {"cat": Series(1.0, 0.5, 7), "é\n": Series(-2.0, 0.0, 1)})
        self.assertEqual(History.unpack(history.pack()), history)
        self.assertEqual(History.unpack(None), History())
        self.assertEqual(History.unpack(b"\xff" + history.pack()[1:]), History())

    def test_the_biggest_keys_are_kept(self):
        history = History(keys={"a": Series(1.0), "b": Series(3.0), "c": Series(2.0)})
        history.keep(2)
        self.assertEqual(list(history.keys), ["b", "c"])

    def test_long_names_are_shortened_and_differ(self):
        self.assertEqual(short("cat"), "cat")
        stacks = {short(";".join(["main"] * 100 + [leaf] + ["read"] * 100)) for leaf in ("a", "b", "é")}
        self.assertEqual(len(stacks), 3)
        for name in (*stacks, short("é" * 500), short("😀" * 500), "x" * 120):
            self.assertLessEqual(len(name.encode()), LONGEST_NAME)
        self.assertLessEqual(400 * (KEY.size + LONGEST_NAME), 60_000)
