"""Amounts, times and text go in and come out exactly, or are refused in the library's words."""

import decimal
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import tipcurrent
from kit import EngineTest
from tipcurrent import InvalidArgument


class Amounts(EngineTest):
    def test_every_exact_way_to_say_it(self):
        for given, expected in (
            (Decimal("1.5"), "1.50"), ("1.50", "1.50"), (7, "7.00"), ("1e2", "100.00"), (Decimal("1E+2"), "100.00"), (Decimal("2.500"), "2.50"),
            ("92233720368547758.07", "92233720368547758.07"), (Decimal("0.01"), "0.01"),
        ):
            with self.subTest(given=given):
                tip = self.tip(amount=given)
                self.assertEqual(str(tip.amount), expected)
                self.assertIsInstance(tip.amount, Decimal)
                self.assertEqual(str(self.engine.tips.get(tip.id).amount), expected)
                self.assertEqual(str(self.engine.tips.submit("r", "a", "b", given).result().amount), expected)

    def test_the_contexts_precision_does_not_matter(self):
        with decimal.localcontext() as context:
            context.prec = 3
            context.traps[decimal.Inexact] = True
            self.assertEqual(str(self.tip(amount=Decimal("12345678901234567.89")).amount), "12345678901234567.89")
            self.assertEqual(str(self.engine.tips.refunded(1)), "0.00")

    def test_what_is_no_amount_is_refused_in_the_librarys_words(self):
        for given, words in (
            (Decimal("1.005"), "amount: must have at most 2 decimals"), ("0", "amount: must be greater than 0"), (-1, "amount: must be greater than 0"),
            ("ten", "amount: must be a number"), (Decimal("NaN"), "amount: must be a number"), (Decimal("Infinity"), "amount: must be a number"), ("", "amount: must be a number"),
            ("92233720368547758.08", "amount: must be at most 92233720368547758.07"), ("1\0", "amount: must be a number"), ("\ud800", "amount: must be a number"),
        ):
            with self.subTest(given=given):
                with self.assertRaises(InvalidArgument) as caught:
                    self.tip(amount=given)
                self.assertEqual(str(caught.exception), words)
                with self.assertRaises(InvalidArgument):
                    self.engine.tips.submit("r", "a", "b", given).result()
        self.assertEqual(self.engine.status().log_seq, 0)

    def test_floats_and_bools_are_no_amounts(self):
        for given in (1.5, True, None, b"1"):
            with self.subTest(given=given):
                self.assertRaises(TypeError, self.tip, amount=given)
                self.assertRaises(TypeError, self.engine.tips.submit, "r", "a", "b", given)


class Texts(EngineTest):
    def test_any_unicode(self):
        text = "Grüße 🔥 \u2028 \" \\ \t\n"
        for tip in (self.tip(message=text, metadata=text), self.engine.tips.submit("r", "a", "b", 1, message=text, metadata=text).result()):
            self.assertEqual((tip.message, tip.metadata), (text, text))

    def test_absent_is_not_empty(self):
        self.assertIsNone(self.tip().message)
        self.assertEqual(self.tip(message="").message, "")
        self.assertIsNone(self.engine.tips.submit("r", "a", "b", 1).result().message)
        self.assertEqual(self.engine.tips.submit("r", "a", "b", 1, message="").result().message, "")

    def test_what_c_cannot_hold(self):
        for text, words in (("a\0b", "message: must not contain U+0000"), ("\ud83d", "message: must be valid UTF-8")):
            with self.subTest(text=text):
                with self.assertRaises(InvalidArgument) as caught:
                    self.tip(message=text)
                self.assertEqual(str(caught.exception), words)
                self.assertRaises(InvalidArgument, self.engine.tips.submit("r", "a", "b", 1, message=text).result)

    def test_limits_are_the_librarys(self):
        self.assertEqual(self.tip(message="🔥" * 1000).message, "🔥" * 1000)
        with self.assertRaises(InvalidArgument) as caught:
            self.tip(message="🔥" * 1001)
        self.assertEqual(str(caught.exception), "message: must be at most 1000 characters")
        for room in ("", "  ", "x" * 256):
            self.assertRaises(InvalidArgument, self.tip, room=room)
        for room in (None, 5, b"r"):
            self.assertRaises((TypeError, InvalidArgument), self.tip, room=room)

    def test_numbers_that_do_not_fit_are_not_cut(self):
        self.tip()
        for number in (2**64 + 1, -(2**63) - 1):
            self.assertRaises(InvalidArgument, self.engine.tips.get, number)
            self.assertRaises(InvalidArgument, self.engine.refunds.create, number)
            self.assertRaises(InvalidArgument, self.engine.goals.get, number)
            self.assertRaises(InvalidArgument, self.engine.tips.page, page=number)
        self.assertRaises(InvalidArgument, tipcurrent.Engine, "memory:", create_deadline_ms=2**32 + 1)
        self.assertRaises(InvalidArgument, self.engine.activities.create, "raid", "r", "u", count=2**64)
        self.assertRaises(TypeError, self.engine.tips.get, "1")


class Times(EngineTest):
    def test_created_at_is_aware_and_exact(self):
        before = datetime.now(timezone.utc)
        tip = self.tip()
        after = datetime.now(timezone.utc)
        self.assertLessEqual(before, tip.created_at)
        self.assertLessEqual(tip.created_at, after)
        self.assertEqual(tip.created_at.utcoffset(), timedelta(0))

    def test_a_deadline_of_another_zone(self):
        deadline = datetime(2100, 5, 1, 12, 30, 0, 123457, tzinfo=timezone(timedelta(hours=5, minutes=45)))
        goal = self.engine.goals.create("r", "t", target_count=3, deadline=deadline)
        self.assertEqual(goal.deadline, deadline)

    def test_naive_times_say_no_moment(self):
        naive = datetime(2100, 5, 1)
        for call in (
            lambda: self.engine.goals.create("r", "t", target_count=3, deadline=naive), lambda: self.engine.stats.periods(start=naive),
            lambda: self.engine.boards.top(window=tipcurrent.Window.DAY, at=naive), lambda: self.engine.webhooks.replay_time(1, naive, naive),
        ):
            with self.assertRaises(InvalidArgument) as caught:
                call()
            self.assertIn("aware", str(caught.exception))
        self.assertRaises(TypeError, self.engine.stats.periods, start="2024-01-01")
