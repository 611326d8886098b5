"""What the tests share: an engine in a directory of its own, waiting without sleeping blindly, and the project's files."""

import os
import pathlib
import sys
import tempfile
import time
import unittest

import tipcurrent

ROOT = pathlib.Path(__file__).resolve().parents[3]
PATIENCE_S = 30


def until(condition, what="the condition"):
    """Polls until condition() is true; fails after PATIENCE_S."""
    give_up = time.monotonic() + PATIENCE_S
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > give_up:
            raise AssertionError(f"{what} has not come true in {PATIENCE_S} s")
        time.sleep(0.002)


def open_descriptors():
    return len(os.listdir("/proc/self/fd"))


class EngineTest(unittest.TestCase):
    """self.engine, on SQLite in self.directory. Set `options` for others."""

    options = {}

    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="tipcurrent-")
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        self.engine = self.open(**self.options)
        # What is raised inside a callback can only be reported. Nothing should be, but where a test says so.
        self.unraisable = []
        old, sys.unraisablehook = sys.unraisablehook, lambda what: self.unraisable.append(what.exc_value)
        self.addCleanup(setattr, sys, "unraisablehook", old)

    def tearDown(self):
        self.assertEqual(self.unraisable, [])

    def open(self, name="test.db", **options):
        return self.opened(f"sqlite:{self.directory}/{name}", **options)

    def use_memory(self):
        """For who counts descriptors: SQLite's come and go."""
        self.engine.close()
        self.engine = self.opened("memory:")
        quiet = [open_descriptors()] * 50  # its threads open some of their own, each when it gets going

        def settled():
            quiet.append(open_descriptors())
            return len(set(quiet[-50:])) == 1 and len(quiet) > 100

        until(settled, "settling")

    def opened(self, url, **options):
        engine = tipcurrent.Engine(url, **options)
        self.addCleanup(engine.close)
        return engine

    def tip(self, room="r", sender="alice", recipient="bob", amount="1.00", **more):
        return self.engine.tips.create(room, sender, recipient, amount, **more)

    def counted(self):
        """Returns when statistics, boards and goals have seen everything."""
        until(lambda: self.engine.status().stats_seq == self.engine.status().log_seq, "counting")
