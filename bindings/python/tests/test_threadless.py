"""An engine without threads: nothing moves but when the program says so."""

import select
import threading

from kit import EngineTest, until
from tipcurrent import Closed, InvalidArgument, NewTip, Timeout


class Threadless(EngineTest):
    options = {"threads": False}

    def test_creates_and_reads_run_it(self):
        self.assertEqual(self.tip().id, 1)
        self.assertEqual(self.engine.tips.create_many([NewTip("r", "a", "b", 1)] * 2500).errors, [])
        self.assertEqual(self.engine.tips.page().total, 2501)
        while self.engine.tick():
            pass
        self.assertEqual(self.engine.status().index_seq, 2501)

    def test_poll_runs_listeners_and_finishes_submissions(self):
        seen, me = [], threading.get_ident()
        self.engine.listen(lambda event: seen.append((event.seq, threading.get_ident())))
        submission = self.engine.tips.submit("r", "a", "b", 1)
        self.assertFalse(submission.done())
        while not seen or not submission.done():
            select.select([self.engine], [], [], 30)
            self.engine.poll()
        self.assertEqual(seen, [(1, me)])
        self.assertEqual(submission.result(0).seq, 1)
        self.assertEqual(threading.active_count(), 1)
        self.engine.poll(0.001)

    def test_a_submission_that_is_waited_for_runs_it(self):
        self.assertEqual([each.result(30).id for each in [self.engine.tips.submit("r", "a", "b", 1) for _ in range(50)]], list(range(1, 51)))
        self.assertIsNone(self.engine.tips.submit("r", "a", "b", 1).exception(30))
        ids = []
        self.engine.tips.submit("r", "a", "b", 1).add_done_callback(lambda done: ids.append(self.engine.tips.create("r", "b", "c", 1).id))
        self.tip()  # commits both
        self.assertEqual(ids, [54])

    def test_close_finishes_them(self):
        submissions = [self.engine.tips.submit("r", "a", "b", 1) for _ in range(20)]
        self.engine.close()
        self.assertEqual([each.result(0).id for each in submissions], list(range(1, 21)))

    def test_a_subscription_that_waits_runs_it(self):
        events = self.engine.subscribe()
        self.assertRaises(Timeout, events.get, 0.01)
        self.engine.tips.submit("r", "a", "b", 1)
        self.assertEqual(events.get(30).seq, 1)
        closer = threading.Timer(0.05, events.close)
        closer.start()
        self.assertEqual(list(events), [])
        closer.join()

    def test_a_listener_may_close_the_subscription_that_runs_it(self):
        events = self.engine.subscribe(room="r")
        seen = []

        def callback(event):
            seen.append(event.seq)
            events.close()

        self.engine.listen(callback)
        self.engine.tips.submit("other", "a", "b", 1)
        self.assertEqual(list(events), [])
        self.assertEqual(seen, [1])

    def test_close_wakes_a_poll(self):
        ended = []

        def work():
            try:
                while True:
                    self.engine.poll(None)
            except Closed:
                ended.append(True)

        thread = threading.Thread(target=work)
        thread.start()
        self.tip()
        self.engine.close()
        thread.join(30)
        self.assertEqual(ended, [True])

    def test_not_inside_a_callback(self):
        said = []

        def callback(_):
            for call in (self.engine.poll, self.engine.tick, self.engine.close):
                try:
                    call()
                except InvalidArgument as error:
                    said.append(str(error))

        self.engine.listen(callback)
        self.tip()
        until(lambda: self.engine.poll() or said)
        self.assertEqual(len(said), 3)


class WithThreads(EngineTest):
    def test_has_none_of_it(self):
        self.assertRaises(InvalidArgument, self.engine.poll)
        self.assertRaises(InvalidArgument, self.engine.tick)
        self.assertRaises(InvalidArgument, self.engine.fileno)
