#!/usr/bin/env python3
"""Runs the wire tests: run.py [pattern] [--slow] [--storage postgresql].

pattern: only tests whose file.Class.name contains it. --slow: the long versions too. --storage: all but what is about SQLite's files, on a server started for it.
The last line is `N passed, N failed`; the exit code is 1 when anything failed.
"""

import argparse
import os
import pathlib
import resource
import sys
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent


class Report(unittest.TestResult):
    """One line a test, with the daemon's own words below a failure."""

    def __init__(self):
        super().__init__()
        self.passed = self.failed = 0
        self.begun = {}

    def startTest(self, test):
        super().startTest(test)
        self.begun[test.id()] = time.monotonic()
        self.bad = False

    def line(self, word, test):
        took = time.monotonic() - self.begun.get(test.id(), time.monotonic())
        print("%-4s %s (%.2f s)" % (word, test.id(), took), flush=True)

    def fail(self, test, error):
        self.bad = True
        self.failed += 1
        self.line("FAIL", test)
        print(self._exc_info_to_string(error, test).rstrip())
        explain = getattr(test, "explain", None)
        if explain:
            try:
                print(explain())
            except Exception as reason:  # the failure itself is what counts
                print("(no explanation: %s)" % reason)
        sys.stdout.flush()

    def addSuccess(self, test):
        if not self.bad:
            self.passed += 1
            self.line("ok", test)

    def addFailure(self, test, err):
        self.fail(test, err)

    def addError(self, test, err):
        self.fail(test, err)

    def addSubTest(self, test, subtest, err):
        # One test counts once, however many of its cases fail; each failing case is shown.
        if err is None:
            return
        print("     case: %s" % subtest._subDescription())
        if self.bad:
            print(self._exc_info_to_string(err, test).rstrip().splitlines()[-1])
        else:
            self.fail(test, err)

    def addSkip(self, test, reason):
        self.line("skip", test)
        print("     %s" % reason)


def flatten(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from flatten(item)
        else:
            yield item


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pattern", nargs="?", default="")
    parser.add_argument("--slow", action="store_true")
    parser.add_argument("--storage", choices=("sqlite", "postgresql"), default="sqlite")
    options = parser.parse_args()
    if options.slow:
        os.environ["TIPCURRENT_TEST_SLOW"] = "1"
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sys.path[:0] = [str(HERE), str(HERE.parent / "postgres")]
    import harness
    import server

    if not os.access(harness.BINARY, os.X_OK):
        print("no tipcurrentd at %s (set TIPCURRENTD)" % harness.BINARY)
        print("0 passed, 1 failed")
        return 1
    loader = unittest.TestLoader()
    everything = loader.discover(str(HERE), "test_*.py", str(HERE))
    chosen = unittest.TestSuite(test for test in flatten(everything) if options.pattern in test.id())
    if loader.errors or chosen.countTestCases() == 0:
        print("\n".join(loader.errors) or "no test matches %r" % options.pattern)
        print("0 passed, 1 failed")
        return 1
    report = Report()
    if options.storage == "postgresql":
        if not server.binaries():
            print("skipped: no PostgreSQL server here: ./scripts/deps --test installs it")
            return server.SKIPPED
        with server.Server() as database:
            harness.POSTGRES = database
            chosen.run(report)
    else:
        chosen.run(report)
    print("%d passed, %d failed" % (report.passed, report.failed))
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
