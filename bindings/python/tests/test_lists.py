"""Pages and the iterators over them."""

from kit import EngineTest
from tipcurrent import InvalidArgument, NewActivity, NewReaction, NewTip


class Lists(EngineTest):
    def fill(self, n):
        self.assertEqual(self.engine.tips.create_many(NewTip(f"r{i % 2}", f"s{i % 3}", f"to{i % 5}", i + 1) for i in range(n)).errors, [])

    def test_pages(self):
        self.fill(25)
        page = self.engine.tips.page(size=10)
        self.assertEqual((len(page), page.total, [tip.id for tip in page]), (10, 25, list(range(25, 15, -1))))
        self.assertEqual([tip.id for tip in self.engine.tips.page(page=2, size=10).items], [5, 4, 3, 2, 1])
        second = self.engine.tips.page(after=page.next, size=20)
        self.assertEqual([tip.id for tip in second], list(range(15, 0, -1)))
        self.assertIsNone(second.next)
        self.assertEqual(self.engine.tips.page(after="", size=10), page)
        past = self.engine.tips.page(page=9, size=10)
        self.assertEqual((past.items, past.total), ([], 25))

    def test_an_iterator_sees_what_was_there_once(self):
        self.fill(25)
        found = self.engine.tips.find(size=4)
        ids = [next(found).id]
        self.tip()  # newer: does not shift what comes
        ids += [tip.id for tip in found]
        self.assertEqual(ids, list(range(25, 0, -1)))

    def test_filters_combine(self):
        self.fill(30)
        for filters in ({}, {"room": "r1"}, {"sender": "s2"}, {"recipient": "to4"}, {"room": "r1", "sender": "s2"}, {"room": "r0", "sender": "s1", "recipient": "to4"}, {"currency": "EUR"}):
            with self.subTest(filters=filters):
                expected = [
                    i + 1 for i in reversed(range(30))
                    if filters.get("room", f"r{i % 2}") == f"r{i % 2}" and filters.get("sender", f"s{i % 3}") == f"s{i % 3}"
                    and filters.get("recipient", f"to{i % 5}") == f"to{i % 5}" and "currency" not in filters
                ]
                self.assertEqual([tip.id for tip in self.engine.tips.find(**filters, size=3)], expected)
                self.assertEqual(self.engine.tips.page(**filters).total, len(expected))
        self.assertEqual(self.engine.tips.page(currency="USD").total, 30)
        self.assertEqual(self.engine.tips.page(room="").total, 0)

    def test_reactions_and_activities(self):
        self.assertEqual(self.engine.reactions.create_many(NewReaction("r", f"u{i % 2}", "🔥", f"t{i % 3}") for i in range(12)).errors, [])
        self.assertEqual(self.engine.reactions.page(room="r", user="u1", emoji="🔥", target="t1").total, 2)
        self.assertEqual(len(list(self.engine.reactions.find(target="t0", size=1))), 4)
        self.assertEqual(self.engine.activities.create_many(NewActivity("raid" if i % 2 else "follow", "r", f"u{i}", count=i) for i in range(8)).errors, [])
        self.assertEqual([each.count for each in self.engine.activities.find("raid", size=3)], [7, 5, 3, 1])
        self.assertEqual(self.engine.activities.page("follow", user="u2", room="r").total, 1)

    def test_what_is_wrong(self):
        for wrong in ({"size": 0}, {"size": 1001}, {"page": -1}, {"page": 1, "after": ""}, {"after": "nonsense"}, {"page": 100000, "size": 1000}):
            with self.subTest(wrong=wrong):
                self.assertRaises(InvalidArgument, self.engine.tips.page, **wrong)
