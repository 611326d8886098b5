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

    def test_poll_runs_listeners(self):
        seen = []
        self.engine.listen(lambda event: seen.append(event.seq))
        submission = self.engine.tips.submit("r", "a", "b", 1)
        while not seen:
            select.select([self.engine], [], [], 30)
            self.engine.poll()
        self.assertEqual(seen, [1])
        self.assertEqual(submission.result(30).seq, 1)
        self.engine.poll(0.001)

    def test_a_subscription_that_waits_runs_it(self):
        events = self.engine.subscribe()
        self.assertRaises(Timeout, events.get, 0.01)
        self.engine.tips.submit("r", "a", "b", 1)
        self.assertEqual(events.get(30).seq, 1)
        closer = threading.Timer(0.05, events.close)
        closer.start()
        self.assertEqual(list(events), [])
        closer.join()

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
