import math
import unittest

from weir import Bucket, Failure, Histogram, Histograms, Table, Text, Texts, col, plugin, table, tables
from weir._host import Err, types
from weir.testing import Host, buckets


class TestText(unittest.TestCase):
    def test_different_texts_look_different(self):
        cases = {
            b"caf\xc3\xa9": "café",
            b"a\xffb": "a\\xffb",
            b"a\\xffb": "a\\\\xffb",
            b"\\": "\\\\",
            b"": "",
            b"\n\x00": "\n\\x00",
            b"\n\\x00": "\n\\\\x00",
        }
        for text, shown in cases.items():
            self.assertEqual(str(Text(text)), shown)
            self.assertEqual(f"{Text(text):>10}", f"{shown:>10}")

    def test_what_is_no_utf_8_is_escaped_byte_by_byte(self):
        cases = {
            # A surrogate, what is too long, and what is beyond the last character.
            b"\xed\xa0\x80": "\\xed\\xa0\\x80",
            b"\xc0\xafx": "\\xc0\\xafx",
            b"\xf4\x90\x80\x80": "\\xf4\\x90\\x80\\x80",
            # What is cut, at the end or by something else.
            b"\xf0\x9f\x98": "\\xf0\\x9f\\x98",
            b"\xe2\x82A\xe2\x82\xac": "\\xe2\\x82A€",
            b"\xf0\x9f\\": "\\xf0\\x9f\\\\",
        }
        for text, shown in cases.items():
            self.assertEqual(str(Text(text)), shown)

    def test_pages_of_texts_join(self):
        pages = [types.Texts([1, 0, 1], [0, 3, 6], b"catdog"), types.Texts([0, 1], [0, 0, 3], b"cat")]
        column = Texts.joined(pages)
        self.assertEqual(list(column), [b"dog", b"cat", b"dog", b"", b"cat"])
        self.assertEqual((len(column), column[4], len(column.words)), (5, b"cat", 4))


class TestHistogram(unittest.TestCase):
    page = types.Buckets([0.0, 1.0, 2.0], [0, 2, 2, 3], [0, 2, 1], [3, 1, 9], [5.0, 0.0, 9.0], [5, 0, 9])

    def test_the_last_bound_opens_a_bucket(self):
        rows = Histograms([self.page])
        self.assertEqual(rows[0].buckets, (Bucket(0.0, 1.0, 3), Bucket(2.0, None, 1)))
        self.assertEqual([row.count for row in rows], [5, 0, 9])
        self.assertEqual(rows[-1].sum, 9.0)

    def test_histograms_of_pages_with_other_bounds_add_up(self):
        other = types.Buckets([-2.0, 0.0, 1.0], [0, 2], [0, 1], [5, 1], [-3.0], [7])
        merged = sum(Histograms([self.page, other]), Histogram())
        wanted = (Bucket(-2.0, 0.0, 5), Bucket(0.0, 1.0, 4), Bucket(1.0, 2.0, 9), Bucket(2.0, None, 1))
        self.assertEqual(merged, Histogram(wanted, 21, 11.0))

    def test_a_quantile_is_the_upper_bound_of_its_bucket(self):
        histogram = buckets({(0, 1): 3, (1, 2): 6, (2, None): 1})
        quantiles = {0.0: 1, 0.3: 1, 0.31: 2, 0.9: 2, 0.91: math.inf, 1.0: math.inf}
        self.assertEqual({share: histogram.quantile(share) for share in quantiles}, quantiles)
        self.assertTrue(math.isnan(Histogram().quantile(0.5)))


class TestTable(unittest.TestCase):
    """Tables are read in a plugin, so that each test is one."""

    def analyze(self, look, **options):
        @plugin
        class Looks:
            def analyze(self):
                look()

        host = Host(**options)
        host.table(
            "calls",
            key={"comm": ["cat", "dd", b"\xff", ""], "ret": [-1, 2, 0, 0]},
            count={"calls": [3, 5, 9, 99]},
            sum={"bytes": [-(1 << 62), -(1 << 62), -(1 << 62), 7]},
            hist={"latency": [buckets({(0, 1): n}) for n in range(4)]},
            overflow=True,
        )
        return host.analyze(Looks)

    def test_columns_are_sequences(self):
        def look():
            calls = table("calls")
            self.assertEqual([t.name for t in tables()], ["calls"])
            self.assertEqual(calls.column("calls").tolist(), [3, 5, 9, 99])
            self.assertEqual(list(calls.column("ret", 1, 2)), [2, 0])
            self.assertEqual(list(calls.column("comm", 3)), [b""])
            self.assertEqual(len(calls.column("latency")), 4)
            self.assertEqual(list(calls.column("overflow")), [0, 0, 0, 1])
            self.assertEqual((calls.coverage.events, calls.coverage.overflow), (116, 99))
            self.assertEqual(len(calls.column("calls", 4)), 0)

        self.analyze(look)

    def test_rows_have_what_columns_have(self):
        def look():
            calls = table("calls")
            names = ['comm="cat" ret=-1', 'comm="dd" ret=2', 'comm="\\xff" ret=0', 'comm="" ret=0']
            self.assertEqual([row.name for row in calls], names)
            self.assertEqual([row.is_overflow for row in calls], [False, False, False, True])
            self.assertEqual((calls[-1]["calls"], calls[1].key, calls[2].place), (99, (b"dd", 2), 2))
            with self.assertRaises(IndexError):
                calls[4]

        self.analyze(look)

    def test_questions_chain(self):
        def look():
            calls = table("calls")
            biggest = calls.filter(col("overflow") == 0, col("calls") > 3).sort("calls", descending=True, limit=1)
            self.assertEqual([row["calls"] for row in biggest], [9])
            self.assertEqual(len(calls.filter(col("comm") != "cat", col("comm").startswith(b"d"))), 1)
            self.assertEqual(len(calls.filter(col("ret") >= -1, col("ret") < 0.5)), 3)
            (all_of,) = calls.group(col("calls").sum(), worst=col("latency").quantile(1.0), n=col("comm").count())
            self.assertEqual((all_of["sum(calls)"], all_of["worst"], all_of["n"], all_of.name), (116, 1, 4, "all"))
            groups = calls.group("overflow", calls=col("calls").sum(), part=col("calls").share())
            self.assertEqual([row["calls"] for row in groups.sort("part")], [17, 99])
            self.assertEqual(calls.group(bytes=col("bytes").sum())[0]["bytes"], (1 << 62) + 7)
            (none,) = calls.filter(col("calls") > 100).group(m=col("calls").mean(), q=col("calls").quantile(0.5))
            self.assertEqual(none["m"], 0.0)
            self.assertTrue(math.isnan(none["q"]))

        self.analyze(look)

    def test_averages_are_those_of_all_values(self):
        @plugin
        class Averages:
            def analyze(self):
                sizes = table("t")
                self_test.assertEqual(list(sizes.column("size")), [2.0, 9.0, 0.0])
                (all_of,) = sizes.group(sum=col("size").sum(), mean=col("size").mean(), most=col("size").max())
                self_test.assertEqual((all_of["sum"], all_of["mean"], all_of["most"]), (3.75, 3.75, 9.0))
                for ask in (lambda: sizes.group("size"), lambda: sizes.group(share=col("size").share())):
                    with self_test.assertRaises(Failure) as failure:
                        len(ask())
                    self_test.assertEqual(failure.exception.reason, "kind")

        self_test, host = self, Host()
        host.table("t", key={"comm": ["a", "b", "c"]}, avg={"size": [(3, 6.0), (1, 9.0), (0, 0.0)]})
        host.analyze(Averages)
        host.table("t", key={"comm": ["a", "b", "c"]}, stats={"size": [(3, 6.0), (1, 9.0), (0, 0.0)]})
        host.analyze(Averages)
        with self.assertRaisesRegex(TypeError, "a cell of avg is how many values there are and their sum"):
            host.table("t", avg={"size": [2.0]})

    def test_what_there_is_not_is_told_with_what_there_is(self):
        def look():
            cases = {
                "there is no table call; there is calls": lambda: table("call"),
                "there is no column call in table calls; there is overflow, comm, ret, calls, bytes, latency": lambda: (
                    table("calls").column("call")
                ),
            }
            for message, ask in cases.items():
                with self.assertRaises(Failure) as failure:
                    ask()
                self.assertEqual((failure.exception.reason, str(failure.exception)), ("unknown", message))
            with self.assertRaisesRegex(Failure, "column latency holds buckets"):
                table("calls").sort("latency")
            calls = table("calls")
            with self.assertRaises(TypeError):
                calls.filter(col("calls") == [1])

        self.analyze(look)


class TestPages(unittest.TestCase):
    """A host whose pages have few rows."""

    def read(self, most, first, count):
        asked = []

        def read(number, place, first, count):
            asked.append((first, count))
            if count > most:
                raise Err(types.Failure("too-large", "a page this large"))
            return [*range(first, first + count)]

        table = Table.__new__(Table)
        table.number = 0
        return [row for page in table._pages(read, 0, first, count) for row in page], asked

    def test_a_page_is_halved_until_it_fits(self):
        self.assertEqual(self.read(4, 0, 10)[1], [(0, 10), (0, 5), (0, 3), (3, 3), (6, 3), (9, 1)])
        self.assertEqual(self.read(4, 3, 11)[0], [*range(3, 14)])
        self.assertEqual(self.read(10, 5, 10), ([*range(5, 15)], [(5, 10)]))
        self.assertEqual(self.read(10, 5, 0)[1], [(5, 0)])

    def test_a_row_that_never_fits_is_a_failure(self):
        with self.assertRaises(Failure) as failure:
            self.read(0, 0, 8)
        self.assertEqual(failure.exception.reason, "too-large")
