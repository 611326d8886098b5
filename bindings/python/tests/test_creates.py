"""Tips, reactions, activities and refunds: made one by one."""

from decimal import Decimal

import tipcurrent
from kit import EngineTest, until
from tipcurrent import AlreadyExists, Conflict, InvalidArgument, KeyMismatch, Kind, LimitExceeded, NotFound


class TipsTest(EngineTest):
    def test_all_members(self):
        tip = self.engine.tips.create("r", "alice", "bob", "12.30", message="m", metadata='{"a":1}', currency="EUR", idempotency_key="k")
        self.assertEqual(
            (tip.id, tip.seq, tip.kind, tip.room, tip.sender, tip.recipient, tip.amount, tip.message, tip.metadata, tip.currency, tip.replayed),
            (1, 1, Kind.TIP, "r", "alice", "bob", Decimal("12.30"), "m", '{"a":1}', "EUR", False),
        )
        self.assertTrue(tip.json.startswith('{"id":1,"roomId":"r"'), tip.json)
        self.assertEqual(self.engine.tips.get(1), tip)
        self.assertEqual(self.engine.tips.get(1).json, tip.json)

    def test_the_default_currency_is_none(self):
        self.assertEqual(self.engine.currency, "USD")
        self.assertIsNone(self.tip(currency="USD").currency)
        self.assertRaises(InvalidArgument, self.tip, currency="usd")

    def test_idempotency(self):
        first = self.tip(idempotency_key="k")
        again = self.tip(idempotency_key="k")
        self.assertEqual(again, first)
        self.assertEqual((first.replayed, again.replayed), (False, True))
        with self.assertRaises(KeyMismatch):
            self.tip(amount=2, idempotency_key="k")
        self.assertTrue(self.engine.tips.submit("r", "alice", "bob", 1, idempotency_key="k").result().replayed)
        self.assertRaises(KeyMismatch, self.engine.tips.submit("r", "alice", "bob", 2, idempotency_key="k").result)
        self.assertEqual(self.engine.status().log_seq, 1)

    def test_a_known_key_with_mismatch_replay(self):
        engine = self.open("replay.db", mismatch_replay=True)
        engine.tips.create("r", "a", "b", 1, idempotency_key="k")
        self.assertEqual(engine.tips.create("r", "a", "b", 2, idempotency_key="k").amount, 1)

    def test_no_such_tip(self):
        with self.assertRaises(NotFound):
            self.engine.tips.get(1)
        self.assertRaises(NotFound, self.engine.tips.refunded, 1)
        self.assertRaises(LookupError, self.engine.tips.get, -1)

    def test_events_are_values(self):
        import copy
        import pickle

        tip = self.tip()
        self.engine.close()
        self.assertEqual(pickle.loads(pickle.dumps(tip)), tip)
        self.assertEqual(len({tip, copy.copy(tip)}), 1)
        with self.assertRaises(AttributeError):
            tip.amount = 5

    def test_what_was_created_is_there_after_a_restart(self):
        tip = self.tip(message="kept")
        self.engine.close()
        self.assertEqual(self.open().tips.get(1), tip)


class ReactionsTest(EngineTest):
    def test_all_members(self):
        made = self.engine.reactions.create("r", "carol", "❤️", target="msg", metadata="m", idempotency_key="k")
        self.assertEqual((made.id, made.kind, made.room, made.user, made.emoji, made.target, made.metadata), (1, Kind.REACTION, "r", "carol", "❤️", "msg", "m"))
        self.assertEqual(self.engine.reactions.get(1), made)
        self.assertTrue(self.engine.reactions.submit("r", "carol", "❤️", target="msg", metadata="m", idempotency_key="k").result().replayed)
        self.assertEqual(list(self.engine.reactions.find(emoji="❤")), [made])


class ActivitiesTest(EngineTest):
    def test_built_in_types(self):
        for type, kind in (("follow", Kind.FOLLOW), ("subscribe", Kind.SUBSCRIBE), ("raid", Kind.RAID)):
            made = self.engine.activities.create(type, "r", "u", target="t", message="m", count=12, metadata="x", idempotency_key=type)
            self.assertEqual((made.kind, made.type, made.user, made.target, made.message, made.count, made.metadata), (kind, type, "u", "t", "m", 12, "x"))
            self.assertEqual(self.engine.activities.get(type, made.id), made)
            self.assertEqual(self.engine.activities.submit(type, "r", "v").result().count, 0)
            self.assertEqual([each.user for each in self.engine.activities.find(type, room="r")], ["v", "u"])
        self.assertRaises(NotFound, self.engine.activities.get, "raid", 9)

    def test_registered_types(self):
        with self.assertRaises(InvalidArgument):
            self.engine.activities.create("hype_train", "r", "u")
        made = self.engine.event_types.create("hype_train", "all aboard")
        self.assertEqual((made.id, made.name, made.description, made.existed), (1, "hype_train", "all aboard", False))
        self.assertTrue(self.engine.event_types.create("hype_train", "all aboard").existed)
        self.assertRaises(AlreadyExists, self.engine.event_types.create, "hype_train", "other")
        self.assertRaises(InvalidArgument, self.engine.event_types.create, "tip")
        self.assertEqual(self.engine.event_types.find(), [made])
        self.assertEqual(self.engine.activities.create("hype_train", "r", "u").kind, Kind.CUSTOM)
        self.engine.event_types.delete("hype_train")
        self.assertRaises(NotFound, self.engine.event_types.delete, "hype_train")
        self.assertEqual(self.engine.event_types.find(), [])
        self.assertEqual(len(list(self.engine.activities.find("hype_train"))), 1)


class RefundsTest(EngineTest):
    def test_part_by_part(self):
        tip = self.tip(amount="5.00")
        first = self.engine.refunds.create(tip.id, "2.00", reason="twice", idempotency_key="k")
        self.assertEqual((first.kind, first.tip_id, first.amount, first.reason, first.sender, first.room), (Kind.REFUND, 1, Decimal("2.00"), "twice", "alice", "r"))
        self.assertTrue(self.engine.refunds.create(tip.id, "2.00", reason="twice", idempotency_key="k").replayed)
        self.assertEqual(self.engine.tips.refunded(tip.id), Decimal("2.00"))
        with self.assertRaises(LimitExceeded):
            self.engine.refunds.create(tip.id, "4.00")
        self.assertRaises(LimitExceeded, self.engine.refunds.submit(tip.id, 4).result)
        rest = self.engine.refunds.create(tip.id)
        self.assertEqual(rest.amount, Decimal("3.00"))
        with self.assertRaises(Conflict):
            self.engine.refunds.create(tip.id)
        self.assertRaises(NotFound, self.engine.refunds.create, 99)
        self.assertEqual(self.engine.refunds.get(2), rest)
        self.assertEqual(list(self.engine.refunds.find(tip_id=tip.id)), [rest, first])
        self.assertEqual(list(self.engine.refunds.find(sender="nobody")), [])

    def test_many(self):
        for _ in range(3):
            self.tip(amount=3)
        results = self.engine.refunds.submit_many([tipcurrent.NewRefund(1), tipcurrent.NewRefund(2, 9), tipcurrent.NewRefund(7), tipcurrent.NewRefund(3, "1.00", "r")]).result()
        self.assertEqual([type(each).__name__ for each in results], ["Refund", "LimitExceeded", "NotFound", "Refund"])
        self.assertEqual(results[3].reason, "r")
        self.assertEqual(self.engine.refunds.create_many([tipcurrent.NewRefund(3, "0.50"), tipcurrent.NewRefund(3, "0.50")]).errors, [])
        self.assertEqual(self.engine.tips.refunded(3), Decimal("2.00"))


class GoalsTest(EngineTest):
    def test_by_amount(self):
        goal = self.engine.goals.create("r", "a microphone", target_amount="10.00", recipient="bob", idempotency_key="k")
        self.assertEqual((goal.id, goal.room, goal.title, goal.target_amount, goal.target_count, goal.recipient), (1, "r", "a microphone", Decimal("10.00"), None, "bob"))
        self.assertEqual((goal.status, goal.reached_at, goal.closed_at, goal.deadline), (tipcurrent.GoalStatus.OPEN, None, None, None))
        self.assertTrue(self.engine.goals.create("r", "a microphone", target_amount="10.00", recipient="bob", idempotency_key="k").replayed)
        with self.engine.subscribe(kinds=[Kind.GOAL_REACHED]) as events:
            self.tip(amount="4.00")
            self.tip(amount="6.50")
            said = events.get(30)
        self.assertEqual((said.goal_id, said.title, said.amount, said.count), (1, "a microphone", Decimal("10.50"), None))
        self.assertEqual(list(self.engine.goals.reached(room="r")), [said])
        self.assertEqual(list(self.engine.goals.reached(goal_id=2)), [])
        goal = until(lambda: [each for each in self.engine.goals.find("r") if each.progress_count == 2 and each.reached_at], "progress")[0]
        self.assertEqual((goal.status, goal.progress_amount), (tipcurrent.GoalStatus.REACHED, Decimal("10.50")))
        closed = self.engine.goals.close(1)
        self.assertEqual(closed.status, tipcurrent.GoalStatus.CLOSED)
        self.assertIsNotNone(closed.closed_at)
        self.assertEqual(self.engine.goals.get(1).status, tipcurrent.GoalStatus.CLOSED)

    def test_by_number(self):
        goal = self.engine.goals.create("r", "ten tips", target_count=10)
        self.assertEqual((goal.target_amount, goal.target_count, goal.progress_amount), (None, 10, None))

    def test_what_is_wrong(self):
        self.assertRaises(InvalidArgument, self.engine.goals.create, "r", "t")
        self.assertRaises(InvalidArgument, self.engine.goals.create, "r", "t", target_count=1, target_amount=1)
        self.assertRaises(NotFound, self.engine.goals.get, 1)
        self.assertRaises(NotFound, self.engine.goals.close, 1)
        self.assertEqual(self.engine.goals.find("r"), [])
