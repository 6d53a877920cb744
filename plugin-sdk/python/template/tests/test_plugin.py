import unittest

from plugin import First
from weir import Failure
from weir.testing import Host


class Test(unittest.TestCase):
    def test_the_biggest_keys_come_first(self):
        host = Host(limit=2)
        host.table("calls", key={"comm": ["cat", "dd", b"\xff", ""]}, count={"calls": [3, 5, 9, 99]}, overflow=True)
        told = host.analyze(First)
        self.assertEqual([report.title for report in told.reports], ["calls 1: \\xff", "calls 2: dd"])
        self.assertEqual(told.reports[0].fields, {"calls": "9"})
        self.assertEqual(told.metrics[0].value, 116)

    def test_nothing_is_said_of_a_table_without_rows(self):
        host = Host()
        host.table("calls", key={"comm": []}, count={"calls": []})
        self.assertEqual(host.analyze(First).reports, [])

    def test_a_limit_that_will_not_do_is_told(self):
        with self.assertRaisesRegex(Failure, "option limit: 1 to 100 are possible"):
            Host(limit=0).configure(First)
