import unittest

from plugin import Anomaly
from weir import Failure
from weir.testing import Host, buckets


class Test(unittest.TestCase):
    def setUp(self):
        self.host = Host(warmup=3)

    def interval(self, calls, seconds=1.0, skipped=0, is_last=False, **more):
        """The reports of one interval, as (code, key)."""
        self.host.table("t", key={"comm": list(calls)}, count={"calls": list(calls.values())}, **more)
        self.told = self.host.analyze(Anomaly, seconds=seconds, skipped=skipped, is_last=is_last)
        return [(report.code, report.fields.get("key")) for report in self.told.reports]

    def learn(self, calls, intervals=4):
        for number in range(intervals):
            wobble = 1 + number % 2 / 50
            self.assertEqual(self.interval({comm: int(n * wobble) for comm, n in calls.items()}), [])

    def test_a_rate_that_rises_and_one_that_falls_are_told(self):
        self.learn({"cat": 1000, "dd": 1000})
        self.assertEqual(self.interval({"cat": 1500, "dd": 500}), [("rate", "cat"), ("rate", "dd")])
        report = self.told.reports[0]
        self.assertEqual(report.title, "t: cat: 1500 calls/s, 1010 expected")
        self.assertEqual(report.fields["z"], "15.4")
        self.assertEqual([(m.name, m.labels, m.value) for m in self.told.metrics], [("anomalies", {"table": "t"}, 2)])

    def test_a_new_level_is_told_once_and_learned(self):
        self.learn({"cat": 1000})
        self.assertEqual(self.interval({"cat": 3000}), [("rate", None), ("rate", "cat")])
        for _ in range(10):
            self.assertEqual(self.interval({"cat": 3000}), [])

    def test_nothing_is_told_before_the_warmup(self):
        for calls in (1000, 5, 70_000):
            self.assertEqual(self.interval({"cat": calls}), [])
        self.assertEqual(self.told.metrics, [])

    def test_small_numbers_vary(self):
        self.learn({"cat": 4}, 6)
        self.assertEqual(self.interval({"cat": 9}), [])
        self.assertEqual(self.interval({"cat": 40}), [("rate", None), ("rate", "cat")])

    def test_rates_are_per_second(self):
        self.learn({"cat": 1000})
        self.assertEqual(self.interval({"cat": 3000}, seconds=3.0), [])

    def test_an_interval_that_is_too_short_is_left_out(self):
        self.learn({"cat": 1000})
        state = dict(self.host.state)
        self.assertEqual(self.interval({"cat": 1}, seconds=0.1, is_last=True), [])
        self.assertEqual(self.host.state, state)

    def test_after_a_late_interval_it_sees_as_before(self):
        self.learn({"cat": 1000}, 6)
        for lacking in ({}, {"missed": 1000}):
            with self.subTest(lacking):
                self.assertEqual(self.interval({"cat": 3000}, seconds=3.0, **lacking), [])
                # It is too short beside the late one, and shows how long intervals are.
                self.assertEqual(self.interval({"cat": 1000}), [])
                self.assertEqual(self.interval({"cat": 100_000}), [("rate", None), ("rate", "cat")])
                # What was learned from that is forgotten again.
                for _ in range(400):
                    self.interval({"cat": 1000})

    def test_a_key_that_vanishes_is_told(self):
        self.learn({"cat": 1000, "dd": 1000})
        self.assertEqual(self.interval({"cat": 1000}), [("rate", None), ("vanished", "dd")])

    def test_an_empty_table_is_one_finding(self):
        self.learn({"cat": 1000, "dd": 1000})
        self.assertEqual(self.interval({}), [("vanished", None)])
        self.assertEqual(self.told.reports[0].title, "t: no calls, 2020/s expected")

    def test_a_table_that_has_always_been_empty_is_in_order(self):
        self.learn({}, 6)

    def test_a_new_key_is_told_if_it_is_heavy(self):
        self.learn({"cat": 1000})
        self.assertEqual(self.interval({"cat": 1000, "dd": 10}), [])
        self.assertEqual(self.interval({"cat": 1000, "sh": 150}), [("rate", None), ("new", "sh")])
        self.assertEqual(self.told.reports[1].title, "t: sh: new, with 13.0% of calls")

    def test_who_may_be_in_the_overflow_row_has_not_vanished(self):
        self.learn({"cat": 1000, "dd": 1000})
        self.assertEqual(self.interval({"cat": 1000, "": 1000}, overflow=True), [])
        # And who has a row now may have been there before.
        self.assertEqual(self.interval({"cat": 1000, "dd": 1000, "sh": 230}), [("rate", None)])

    def test_what_the_kernel_skipped_may_have_been_anybodys(self):
        self.learn({"cat": 1000, "dd": 1000})
        self.assertEqual(self.interval({"cat": 1500, "dd": 500}, missed=100), [("rate", "cat")])
        self.assertEqual(self.told.reports[0].fields["missed"], "100 events were skipped by the kernel")
        # It was not learned from.
        self.assertEqual(self.interval({"cat": 1000, "dd": 1000}), [])

    def test_skipped_intervals_are_told(self):
        self.learn({"cat": 1000})
        self.interval({"cat": 2000}, skipped=2, missed=None)
        fields = self.told.reports[0].fields
        self.assertEqual(fields["skipped"], "2 intervals before this one")
        self.assertEqual(fields["missed"], "this kernel does not tell")

    def test_names_are_shown_safely(self):
        hostile = [b"\xff\\\n", b"a" * 500 + b"\xf0\x9f\x98\x80" * 30]
        for _ in range(4):
            self.interval(dict.fromkeys(hostile, 1000))
        self.interval(dict.fromkeys(hostile, 2000))
        keys = [report.fields["key"] for report in self.told.reports[1:]]
        self.assertEqual(keys[0], "\\xff\\\\\n")
        self.assertEqual(keys[1], "a" * 50 + "…" + "😀" * 12 + " #cd7d4352")

    def test_many_keys_fit_into_the_state(self):
        self.host = Host(warmup=2, keys=100)
        for number in range(3):
            for table in "abcd":
                names = [f"{table}{number % 2}{key:0119}" for key in range(1000)]
                self.host.table(table, key={"comm": names}, count={"calls": range(1, 1001)})
            self.host.analyze(Anomaly)
        self.assertGreater(sum(map(len, self.host.state.values())), 50_000)

    def test_a_table_of_histograms_is_watched_by_its_events(self):
        for events in (1000, 1010, 1000, 3000):
            self.host.table("h", key={"comm": ["cat"]}, hist={"latency": [buckets({(0, 1): events})]}, events=events)
            told = self.host.analyze(Anomaly)
        self.assertEqual(told.reports[0].title, "h: 3000 events/s, 1003 expected")

    def test_a_table_without_keys_has_one_rate(self):
        for calls in (1000, 1010, 1000, 3000):
            self.host.table("t", count={"calls": [calls]}, sum={"bytes": [-5]})
            told = self.host.analyze(Anomaly)
        self.assertEqual([report.code for report in told.reports], ["rate"])

    def test_sums_may_be_negative(self):
        self.host = Host(warmup=3, measure="bytes")
        for change in (-1000, -1010, -1000, 3000):
            self.host.table("t", key={"comm": ["cat"]}, count={"calls": [1]}, sum={"bytes": [change]})
            told = self.host.analyze(Anomaly)
        self.assertEqual([report.code for report in told.reports], ["rate", "rate"])

    def test_a_share_of_signed_sums_means_nothing(self):
        self.host = Host(warmup=2, measure="bytes")
        for sums in ({"a": 100, "b": -100}, {"a": 100, "b": -100}, {"a": 100, "b": -1100, "cat": 3}, {"cat": 11, "b": -11}):
            self.host.table("t", key={"comm": list(sums)}, sum={"bytes": list(sums.values())})
            told = self.host.analyze(Anomaly)
            self.assertNotIn("new", [report.code for report in told.reports])

    def test_options_that_will_not_do_are_told(self):
        cases = {
            "option sigma: 1 to 100 are possible": {"sigma": 0.5},
            "option warmup: an integer is needed, and this is a text": {"warmup": "ten"},
            "option measure: table t has no count or sum called call; it has calls": {"measure": "call"},
            "option keys: 5 tables of 100 keys are too many; 400 keys are possible in all": {"keys": 100},
        }
        for message, options in cases.items():
            host = Host(**options)
            for name in ("t", "u", "v", "w", "x"):
                host.table(name, key={"comm": ["cat"]}, count={"calls": [1]})
            with self.subTest(message), self.assertRaises(Failure) as failure:
                host.configure(Anomaly)
            self.assertEqual(str(failure.exception), message)
