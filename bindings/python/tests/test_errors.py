"""The exception tree, and that every number written down here is the headers' own."""

import re
import unittest

import tipcurrent
from kit import ROOT, EngineTest
from tipcurrent import _creates, _hooks, _library, activities, boards, engine, errors, events, goals, refunds, stats, subscriptions, webhooks

HEADERS = "\n".join(path.read_text() for path in sorted((ROOT / "include/tipcurrent").glob("*.h")))


def constant(name):
    """An enumerator or macro of the headers."""
    found = re.search(rf"\b{name}\s*=\s*(-?\d+)(?:u\s*<<\s*(\d+))?", HEADERS) or re.search(rf"#define {name} (\d+)u?\b()", HEADERS)
    return int(found.group(1)) << int(found.group(2) or 0)


class Errors(EngineTest):
    def test_every_code_has_its_class(self):
        codes = {name: int(code) for name, code in re.findall(r"X\((TC_E\w+), (-\d+),", HEADERS)}
        self.assertGreater(len(codes), 15)
        self.assertEqual({each.code for each in errors._BY_CODE.values()}, set(codes.values()))
        for each in errors._BY_CODE.values():
            self.assertTrue(issubclass(each, errors.Error))
            self.assertIn(each.__name__, tipcurrent.__all__)

    def test_a_code_of_a_newer_library(self):
        error = errors.error_of(-99, "something new")
        self.assertEqual((type(error), error.code, str(error)), (errors.Error, -99, "something new"))

    def test_they_are_what_python_knows(self):
        for each, known in ((errors.InvalidArgument, ValueError), (errors.NotFound, LookupError), (errors.Timeout, TimeoutError), (errors.OutOfMemory, MemoryError)):
            self.assertTrue(issubclass(each, known))
        self.assertRaises(ValueError, self.tip, amount=0)

    def test_opening(self):
        for url, error, words in (
            ("nonsense:x", errors.NotSupported, "nonsense"), ("sqlite:/nowhere/at/all.db", errors.StorageFailed, "/nowhere/at/all.db"),
            (f"sqlite:{self.directory}/test.db", errors.Busy, ""), ("", errors.NotSupported, ""),
        ):
            with self.subTest(url=url):
                with self.assertRaises(errors.Error) as caught:
                    self.opened(url)
                if url:
                    self.assertIsInstance(caught.exception, error)
                    self.assertIn(words, str(caught.exception))
        with open(f"{self.directory}/bad.db", "wb") as file:
            file.write(b"not a database at all" * 500)
        self.assertRaises(errors.Corrupt, self.open, "bad.db")
        self.assertRaises(errors.InvalidArgument, self.open, "x.db", currency="usd")

    def test_a_full_disk_says_so(self):
        with self.assertRaises(errors.StorageFailed):
            self.opened(f"sqlite:{self.directory}")


class Numbers(unittest.TestCase):
    def test_enums(self):
        for enum, prefix in ((events.Kind, "TC_KIND_"), (stats.Grain, "TC_GRAIN_"), (boards.Window, "TC_WINDOW_"), (goals.GoalStatus, "TC_GOAL_"), (boards.Role, "TC_BOARD_")):
            for each in enum:
                with self.subTest(enum=each):
                    self.assertEqual(each.value, constant(prefix + each.name))
        listed = re.findall(r"^  TC_KIND_(\w+) = ", HEADERS, re.M)
        self.assertEqual([each.name for each in events.Kind], listed)
        self.assertEqual([each.name for each in goals.GoalStatus], [name for name in re.findall(r"^  TC_GOAL_(\w+) = ", HEADERS, re.M)])

    def test_flags_and_fields(self):
        for ours, name in (
            (engine.MISMATCH_REPLAY, "TC_MISMATCH_REPLAY"), (engine.NO_THREADS, "TC_NO_THREADS"), (events.CREATED_AT_US, "TC_FIELD_CREATED_AT_US"),
            (stats.FROM, "TC_STATS_FROM"), (stats.TO, "TC_STATS_TO"), (subscriptions.AFTER_SEQ, "TC_SUB_AFTER_SEQ"), (webhooks.ORDERED, "TC_WEBHOOK_ORDERED"),
            (webhooks.EPOCH_TIME, "TC_WEBHOOK_EPOCH_TIME"), (_library.ABI, "TC_ABI_VERSION"),
        ):
            self.assertEqual(ours, constant(name), name)
        self.assertEqual({level: constant(f"TC_LOG_{name}") for level, name in zip(_hooks.LEVELS, ("ERROR", "WARN", "INFO", "DEBUG"))}, {1: 1, 2: 2, 3: 3, 4: 4})
        self.assertEqual(_hooks.FAILED, -16)
        self.assertTrue(_library.SONAMES[0].endswith(f".so.{_library.ABI}"))
        self.assertEqual((activities.ANY_TYPE, refunds.TYPE, goals.TYPE), (0, "tip.refunded", "goal.reached"))
        self.assertLess(_creates.CHUNK, constant("TC_BATCH_LINES_MAX"))
