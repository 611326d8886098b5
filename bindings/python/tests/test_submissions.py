"""Creates that do not wait: futures, many at once, and what becomes of them when the engine closes."""

import threading

import tipcurrent
from kit import EngineTest
from tipcurrent import Busy, Closed, Error, InvalidArgument, LimitExceeded, NewReaction, NewTip


class Submissions(EngineTest):
    def test_one(self):
        submission = self.engine.tips.submit("r", "a", "b", "2.00", message="m")
        tip = submission.result(30)
        self.assertEqual((tip.id, tip.message), (1, "m"))
        self.assertEqual(self.engine.tips.get(1), tip)
        self.assertFalse(submission.cancel())
        with self.assertRaises(InvalidArgument) as caught:
            self.engine.tips.submit("", "a", "b", 1).result(30)
        self.assertEqual(str(caught.exception), "roomId: must not be blank")

    def test_many_each_for_itself(self):
        results = self.engine.tips.submit_many([NewTip("r", "a", "b", 1), NewTip("", "a", "b", 1), NewTip("r", "a", "b", "3", currency="EUR", idempotency_key="k")]).result(30)
        self.assertEqual((len(results), results.failed), (3, 1))
        self.assertEqual(results[0].id, 1)
        self.assertIsInstance(results[1], InvalidArgument)
        self.assertEqual((results[-1].id, results[-1].currency), (2, "EUR"))
        self.assertEqual([isinstance(each, Error) for each in results[1:]], [True, False])
        self.assertEqual([i for i, _ in results.errors()], [1])
        with self.assertRaises(IndexError):
            results[3]
        self.engine.close()
        self.assertEqual(results[0].room, "r")  # outlives the engine

    def test_none_at_all(self):
        self.assertEqual(len(self.engine.tips.submit_many([]).result(30)), 0)
        self.assertEqual(self.engine.tips.create_many([]), tipcurrent.Report(0, []))

    def test_create_many_tells_which_failed(self):
        tips = (NewTip("r" if i % 1000 else "", "a", "b", i + 1) for i in range(5500))
        report = self.engine.tips.create_many(tips)
        self.assertEqual((report.count, [i for i, _ in report.errors]), (5500, [0, 1000, 2000, 3000, 4000, 5000]))
        self.assertEqual(self.engine.status().log_seq, 5494)

    def test_a_wrong_type_sends_nothing(self):
        with self.assertRaises(TypeError):
            self.engine.tips.submit_many([NewTip("r", "a", "b", 1), NewTip("r", "a", "b", 1.5)])
        with self.assertRaises(TypeError):
            self.engine.reactions.submit_many([NewReaction("r", "u", None)])
        self.assertEqual(self.engine.status().log_seq, 0)

    def test_too_many_at_once(self):
        with self.assertRaises(LimitExceeded):
            self.engine.tips.submit_many([NewTip("r", "a", "b", 1)] * 100001)
        self.assertEqual(self.engine.status().log_seq, 0)

    def test_a_small_queue_takes_them_all(self):
        engine = self.open("small.db", max_pending_bytes=50000)
        self.assertEqual(engine.tips.create_many(NewTip("r", "a", "b", 1) for _ in range(3000)), tipcurrent.Report(3000, []))

    def test_one_that_can_never_fit(self):
        engine = self.open("tiny.db", max_pending_bytes=100, create_deadline_ms=50)
        with self.assertRaises(Busy):
            engine.tips.create("r", "a", "b", 1)
        self.assertRaises(Busy, engine.tips.submit("r", "a", "b", 1).result)

    def test_close_commits_and_answers_what_was_accepted(self):
        submissions = [self.engine.tips.submit("r", "a", "b", 1) for _ in range(500)]
        bulk = self.engine.tips.submit_many([NewTip("r", "a", "b", 1)] * 500)
        self.engine.close()
        self.assertEqual([each.result(0).id for each in submissions], list(range(1, 501)))
        self.assertEqual(bulk.result(0).failed, 0)
        with self.assertRaises(Closed):
            self.engine.tips.submit("r", "a", "b", 1)
        self.assertEqual(self.open().status().log_seq, 1000)

    def test_callbacks_may_call_everything_close_too(self):
        done = threading.Event()

        def after(submission):
            self.engine.tips.create("r", "again", "b", submission.result().amount)
            self.engine.close()
            done.set()

        self.engine.tips.submit("r", "a", "b", 1).add_done_callback(after)
        self.assertTrue(done.wait(30))
        self.assertEqual(self.open().status().log_seq, 2)

    def test_from_many_threads(self):
        failures = []

        def work(name):
            try:
                submissions = [self.engine.tips.submit(name, "a", "b", 1) for _ in range(200)]
                for each in submissions:
                    self.assertEqual(each.result(30).room, name)
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(f"room{i}",)) for i in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        self.assertEqual(failures, [])
        self.assertEqual(self.engine.tips.page(room="room3").total, 200)
