import sys
import types
import unittest

import weir
from weir import DEBUG, INFO, WARNING, Failure, state
from weir import _traceback as told
from weir._host import Err
from weir.testing import Host, buckets


def with_options(**fields):
    """A plugin with these options, and what it then has."""
    seen = {}

    def analyze(self):
        seen.update(vars(self))

    kinds = {name: kind for name, (kind, _) in fields.items()}
    defaults = {name: default for name, (_, default) in fields.items() if default is not ...}
    return weir.plugin(type("Options", (), {"__annotations__": kinds, "analyze": analyze} | defaults)), seen


class TestOptions(unittest.TestCase):
    def test_an_absent_option_is_its_default(self):
        cls, seen = with_options(limit=(int, 3), share=(float, 0.5), by=(str | None, None), quiet=(bool, False))
        Host().analyze(cls)
        self.assertEqual(seen, {"limit": 3, "share": 0.5, "by": None, "quiet": False})
        Host(limit=4, share=1, by="calls", quiet=True).analyze(cls)
        self.assertEqual(seen, {"limit": 4, "share": 1.0, "by": "calls", "quiet": True})

    def test_what_is_wrong_with_an_option_is_told(self):
        cls, _ = with_options(
            limit=(int, weir.option(3, at_least=1, at_most=100)),
            calls=(int, weir.option(3, at_least=0)),
            share=(float, weir.option(0.5, at_most=1)),
            mode=(str, weir.option("all", one_of=("all", "none"))),
            need=(str, weir.option()),
        )
        cases = {
            "option limit: 1 to 100 are possible": {"limit": 0},
            "option limit: an integer is needed, and this is a text": {"limit": "3"},
            "option limit: an integer is needed, and this is a number": {"limit": 3.0},
            "option limit: an integer is needed, and this is true or false": {"limit": True},
            "option calls: at least 0 is needed": {"calls": -1},
            "option share: at most 1 is possible": {"share": float("nan")},
            "option mode: one of all, none is needed": {"mode": "some"},
            "option need: it has to be given, a text": {},
        }
        for message, options in cases.items():
            with self.subTest(message), self.assertRaises(Failure) as failure:
                Host(**options).configure(cls)
            self.assertEqual((failure.exception.reason, str(failure.exception)), ("option", message))

    def test_a_field_that_is_no_option_is_told(self):
        with self.assertRaisesRegex(TypeError, "option tables of Options has to be a str, int, float or bool"):
            with_options(tables=(list, None))

    def test_configure_comes_before_analyze_and_has_no_rows(self):
        rows = []

        @weir.plugin
        class Counts:
            def configure(self):
                rows.append(len(weir.table("t")))

            def analyze(self):
                rows.append("analyze")

        host = Host()
        host.table("t", count={"calls": [1, 2]})
        host.configure(Counts)
        host.analyze(Counts)
        self.assertEqual(rows, [0, 2, "analyze"])


class TestOutput(unittest.TestCase):
    def test_what_is_said_is_told(self):
        @weir.plugin
        class Says:
            def analyze(self):
                weir.report(WARNING, "odd", b"a\xff", {"lone": "\ud800", "n": 1})
                weir.report(INFO, "odd", "é", [("n", 1), ("n", 2)])
                weir.counter("calls", 2, comm=b"\xfe", name="x")
                weir.gauge("share", 0.5)
                weir.histogram("latency", weir.table("t")[1], "latency", k="v")
                weir.artefact("a.txt", "text/plain", b"one ")
                weir.artefact("a.txt", "text/plain", memoryview(b"two"))
                weir.log(DEBUG, 3)

        host = Host()
        cells = [buckets({(0, 1): n}) for n in (1, 2)]
        host.table("t", hist={"latency": cells})
        put = host.analyze(Says)
        self.assertEqual([report.title for report in put.reports], ["a\\xff", "é"])
        self.assertEqual(put.reports[0].fields, {"lone": "\\ud800", "n": "1"})
        self.assertEqual(
            [(metric.kind, metric.name, metric.labels, metric.value) for metric in put.metrics],
            [
                ("counter", "calls", {"comm": "\\xfe", "name": "x"}, 2.0),
                ("gauge", "share", {}, 0.5),
                ("histogram", "latency", {"k": "v"}, cells[1]),
            ],
        )
        self.assertEqual((put.artefacts, put.logs), ({"a.txt": b"one two"}, ["3"]))

    def test_a_refusal_is_a_failure(self):
        @weir.plugin
        class Shrinks:
            def analyze(self):
                weir.counter("calls", -1)

        with self.assertRaises(Failure) as failure:
            Host().analyze(Shrinks)
        self.assertEqual(failure.exception.reason, "bounds")


class TestState(unittest.TestCase):
    def test_state_outlives_calls_that_go_well(self):
        @weir.plugin
        class Counts:
            fail: bool = False

            def analyze(self):
                calls = state.load_json("calls", {"n": 0})
                calls["n"] += 1
                state.store_json("calls", calls)
                state.store("raw", b"\xff")
                weir.gauge("calls", calls["n"])
                if self.fail:
                    raise Failure("own", "as asked")

        host = Host()
        self.assertEqual([host.analyze(Counts).metrics[0].value for _ in range(3)], [1, 2, 3])
        host._known.options["fail"] = True
        with self.assertRaises(Failure):
            host.analyze(Counts)
        self.assertEqual(host.state, {"calls": b'{"n":3}', "raw": b"\xff"})


class TestInterval(unittest.TestCase):
    def test_the_clock_is_the_interval(self):
        seen = []

        @weir.plugin
        class Looks:
            def analyze(self):
                seen.append(weir.interval())

        host = Host()
        host.analyze(Looks)
        host.analyze(Looks, seconds=0.5, skipped=2, is_last=True)
        self.assertEqual(seen, [weir.Interval(0, 0, 1.0, 0, False), weir.Interval(3, 0, 0.5, 2, True)])


class TestTraceback(unittest.TestCase):
    def test_an_exception_is_one_line_with_its_place(self):
        def line_of(*arguments):
            try:
                raise ValueError(*arguments)
            except ValueError as error:
                return told.line(error)

        self.assertRegex(line_of("no"), r"^ValueError: no \(.*test_plugin\.py:\d+\)$")
        self.assertRegex(line_of(), r"^ValueError \(.*test_plugin\.py:\d+\)$")

    def test_a_traceback_has_all_that_led_to_it(self):
        def fails():
            try:
                {}["key"]
            except KeyError:
                raise ExceptionGroup("several", [ValueError("one")])

        try:
            fails()
        except ExceptionGroup as error:
            lines = told.lines(error)
        text = "\n".join(lines)
        for part in ("KeyError: 'key'", "During handling", "several (1 sub-exception)", "ValueError: one"):
            self.assertIn(part, text)
        self.assertNotIn("\n", lines[0])


class TestComponent(unittest.TestCase):
    """What is exported, with the fake as its host."""

    def call(self, analyze):
        module = types.ModuleType("plugin")
        module.__file__ = "plugin.py"
        streams, paths = (sys.stdout, sys.stderr), list(sys.meta_path)
        sys.modules["plugin"] = module
        cls = weir.plugin(type("Plugin", (), {"analyze": analyze}))
        from weir import _plugin, component

        before, _plugin.registered = _plugin.registered, cls
        host = Host()
        try:
            host._call(component.Analysis().analyze)
        finally:
            _plugin.registered = before
            sys.stdout, sys.stderr = streams
            sys.meta_path[:] = paths
            self.logs = host._known.told.logs

    def test_what_is_printed_is_logged(self):
        self.call(lambda self: print("one", "two", end="\nthree"))
        self.assertEqual(self.logs, ["one two", "three"])

    def test_an_exception_is_a_failure_with_its_traceback_in_the_log(self):
        with self.assertRaises(Err) as refused:
            self.call(lambda self: 1 // 0)
        self.assertEqual(refused.exception.value.reason, "failed")
        self.assertRegex(refused.exception.value.message, r"^ZeroDivisionError: .* \(.*test_plugin.py:\d+\)$")
        self.assertEqual(self.logs[0], "Traceback (most recent call last):")
        self.assertRegex(self.logs[-1], "^ZeroDivisionError")

    def test_a_failure_is_passed_on_as_it_is(self):
        def analyze(self):
            raise Failure("own", "as asked")

        with self.assertRaises(Err) as refused:
            self.call(analyze)
        self.assertEqual((refused.exception.value.reason, refused.exception.value.message), ("own", "as asked"))
        self.assertEqual(self.logs, [])

    def test_a_module_that_is_imported_too_late_is_told(self):
        def analyze(self):
            import antigravity  # noqa: F401

        with self.assertRaises(Err) as refused:
            self.call(analyze)
        self.assertIn("has to be imported at the top of a module", refused.exception.value.message)
