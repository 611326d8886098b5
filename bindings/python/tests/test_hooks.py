"""Log lines, time and chance that the program brings."""

import contextlib
import io
import logging
from datetime import datetime, timedelta, timezone

import tipcurrent
from kit import EngineTest


class Clock:
    def __init__(self, moment):
        self.us = int(moment.timestamp()) * 1_000_000
        self.broken = False

    def wall_us(self):
        if self.broken:
            raise RuntimeError("no time")
        return self.us

    def monotonic_us(self):
        return self.us


class Hooks(EngineTest):
    def test_time(self):
        moment = datetime(2024, 1, 15, 10, 30, 45, tzinfo=timezone.utc)
        clock = Clock(moment)
        engine = self.open("clock.db", clock=clock)
        self.assertEqual(engine.tips.create("r", "a", "b", 1).created_at, moment)
        clock.us += 90 * 60 * 1_000_000 + 7
        tip = engine.tips.create("r", "a", "b", 1)
        self.assertEqual(tip.created_at, moment + timedelta(minutes=90, microseconds=7))
        self.assertTrue(tip.json.endswith('"createdAt":"2024-01-15T12:00:45.000Z"}'), tip.json)

    def test_a_clock_that_raises_is_reported_and_replaced(self):
        clock = Clock(datetime.now(timezone.utc))
        engine = self.open("broken.db", clock=clock)
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            clock.broken = True
            tip = engine.tips.create("r", "a", "b", 1)
            clock.broken = False
            engine.close()
        self.assertIn("no time", said.getvalue())
        self.assertLess(abs(datetime.now(timezone.utc) - tip.created_at), timedelta(minutes=1))

    def test_chance(self):
        asked = []

        def random(n):
            asked.append(n)
            return bytes(n)

        self.open("random.db", random=random).tips.create("r", "a", "b", 1)
        self.assertTrue(asked)
        with contextlib.redirect_stderr(io.StringIO()) as said:
            with self.assertRaises(tipcurrent.Error):
                self.open("short.db", random=lambda n: b"x")
        self.assertIn("1 bytes instead of", said.getvalue())

    def provoke(self, log):
        """A line of the log: the wall clock goes back by an hour."""
        clock = Clock(datetime.now(timezone.utc))
        engine = self.open("log.db", log=log, clock=clock)
        engine.tips.create("r", "a", "b", 1)
        clock.wall_us = lambda: clock.us - 3_600_000_000
        engine.tips.create("r", "a", "b", 1)
        engine.close()

    def test_lines_to_logging(self):
        with self.assertLogs("tipcurrent.test", logging.DEBUG) as said:
            self.provoke(logging.getLogger("tipcurrent.test"))
        self.assertTrue(said.records)

    def test_lines_to_a_function(self):
        said = []
        self.provoke(lambda level, line: said.append((level, line)))
        self.assertTrue(all(level in (1, 2, 3, 4) and isinstance(line, str) and line for level, line in said), said)
        self.assertTrue(said)
