"""Statistics and leaderboards."""

from datetime import datetime, timedelta, timezone
from decimal import Decimal

from kit import EngineTest
from tipcurrent import Grain, InvalidArgument, NotFound, Role, Window

MOMENT = datetime(2024, 3, 30, 22, 30, tzinfo=timezone.utc)


class Clock:
    now = MOMENT

    def wall_us(self):
        return int(self.now.timestamp() * 1_000_000)

    def monotonic_us(self):
        return self.wall_us()


class Numbers(EngineTest):
    def setUp(self):
        super().setUp()
        self.clock = Clock()
        self.engine = self.open("numbers.db", clock=self.clock)
        self.tip(sender="alice", recipient="bob", amount="10.00")
        self.tip(sender="carol", recipient="bob", amount="0.05")
        self.engine.reactions.create("r", "dora", "🔥")
        self.clock.now += timedelta(hours=3)
        self.tip(sender="alice", recipient="eve", amount="5.00")
        self.tip(sender="alice", recipient="eve", amount="7.00", currency="EUR")
        self.counted()

    def test_periods(self):
        hours = self.engine.stats.periods(room="r")
        self.assertEqual([(each.start.hour, each.tips, str(each.amount), str(each.average), each.reactions) for each in hours], [(22, 2, "10.05", "5.03", 1), (1, 1, "5.00", "5.00", 0)])
        self.assertEqual((hours.rows[0].unique_senders, hours.rows[0].unique_recipients, hours.rows[0].unique_reactors), (2, 1, 1))
        self.assertEqual((hours.total.tips, hours.total.amount, hours.total.reactions, hours.other_currencies), (3, Decimal("15.05"), 1, ("EUR",)))
        days = self.engine.stats.periods(room="r", grain=Grain.DAY, tz="Europe/Berlin").rows
        self.assertEqual([(each.end - each.start, each.tips, each.unique_senders) for each in days], [(timedelta(hours=24), 2, None), (timedelta(hours=23), 1, None)])
        self.assertEqual(self.engine.stats.periods(room="r", currency="EUR").total.amount, Decimal("7.00"))
        self.assertEqual(len(self.engine.stats.periods(start=MOMENT + timedelta(hours=1))), 1)
        self.assertEqual(len(self.engine.stats.periods(end=MOMENT + timedelta(hours=1))), 1)
        self.assertEqual(len(self.engine.stats.periods(room="nobody")), 0)
        self.assertRaises(InvalidArgument, self.engine.stats.periods, tz="Mars/Base")

    def test_emojis_and_recipients(self):
        self.assertEqual([(each.emoji, each.reactions) for each in self.engine.stats.emojis(room="r")], [("🔥", 1)])
        self.assertEqual([(each.recipient, each.tips, str(each.amount)) for each in self.engine.stats.recipients()], [("bob", 2, "10.05"), ("eve", 1, "5.00")])

    def test_rebuild_finds_nothing_wrong(self):
        self.assertEqual(self.engine.stats.rebuild(), 0)
        self.assertRaises(InvalidArgument, self.engine.stats.rebuild, start=MOMENT + timedelta(seconds=1))

    def test_boards(self):
        top = self.engine.boards.top(room="r")
        self.assertEqual([(each.rank, each.user, each.tips, each.amount) for each in top], [(1, "alice", 2, Decimal("15.00")), (2, "carol", 1, Decimal("0.05"))])
        self.assertEqual((top.start, top.end), (None, None))
        day = self.engine.boards.top(window=Window.DAY, at=MOMENT, role=Role.RECIPIENTS, limit=1)
        self.assertEqual((day.rows[0].user, day.start, day.end), ("bob", MOMENT.replace(hour=0, minute=0), MOMENT.replace(day=31, hour=0, minute=0)))
        self.assertEqual(len(self.engine.boards.top(window=Window.CUSTOM, start=MOMENT + timedelta(hours=1), end=MOMENT + timedelta(hours=4))), 1)
        self.assertEqual(self.engine.boards.rank("carol", room="r").rank, 2)
        self.assertEqual(self.engine.boards.rank("eve", role=Role.RECIPIENTS, currency="EUR").amount, Decimal("7.00"))
        self.assertRaises(NotFound, self.engine.boards.rank, "nobody")
        for wrong in ({"limit": 0}, {"limit": 101}, {"window": Window.DAY}, {"window": Window.CUSTOM}):
            self.assertRaises(InvalidArgument, self.engine.boards.top, **wrong)
