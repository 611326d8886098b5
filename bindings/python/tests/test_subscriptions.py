"""Following the log by a for loop: from now, from a seq, across threads, to its end."""

import gc
import select
import signal
import threading
import time
import weakref

from kit import EngineTest, open_descriptors, until
from tipcurrent import Closed, InvalidArgument, Kind, LimitExceeded, NewTip, Timeout


class Subscriptions(EngineTest):
    def test_from_now(self):
        self.tip()
        with self.engine.subscribe(room="r") as events:
            self.assertRaises(Timeout, events.get, 0)
            self.tip(room="other")
            tip = self.tip()
            self.assertEqual(events.get(30), tip)
            self.assertEqual(events.seq, 3)
            with self.assertRaises(TimeoutError):
                events.get(0.01)

    def test_after_a_seq(self):
        self.engine.tips.create_many(NewTip("r", "a", "b", 1) for _ in range(2000))
        with self.engine.subscribe(after_seq=0) as events:
            self.assertEqual([next(events).seq for _ in range(700)], list(range(1, 701)))
            resume = events.seq
        self.assertEqual(resume, 700)
        self.assertEqual(events.seq, 700)
        with self.engine.subscribe(after_seq=resume) as events:
            self.assertEqual([next(events).seq for _ in range(1300)], list(range(701, 2001)))

    def test_kinds(self):
        with self.engine.subscribe(kinds=[Kind.REACTION, Kind.RAID]) as events:
            self.tip()
            self.engine.activities.create("raid", "r", "u")
            self.engine.activities.create("follow", "r", "u")
            self.engine.reactions.create("r", "u", "🔥")
            self.assertEqual([events.get(30).kind, events.get(30).kind], [Kind.RAID, Kind.REACTION])
        for wrong in ([], [0], [64]):
            self.assertRaises(InvalidArgument, self.engine.subscribe, kinds=wrong)

    def test_every_kind_is_decoded(self):
        with self.engine.subscribe() as events:
            self.tip(amount=2)
            self.engine.goals.create("r", "one more", target_count=1)
            self.tip(currency="EUR")
            self.engine.refunds.create(1, 1)
            seen = {events.get(30).kind: None for _ in range(4)}
        self.assertEqual(set(seen), {Kind.TIP, Kind.GOAL_REACHED, Kind.REFUND})

    def test_a_loop_ends_when_another_thread_closes_it(self):
        for after in (0, None):
            events = self.engine.subscribe(after_seq=after)
            seen = []
            thread = threading.Thread(target=lambda: seen.extend(events))
            thread.start()
            self.tip()
            until(lambda: seen)
            time.sleep(0.01)  # so that it waits, or does not: both are fine
            events.close()
            thread.join(30)
            self.assertFalse(thread.is_alive())
            events.close()
            self.assertRaises(Closed, events.get)
            self.assertEqual(events.fileno(), -1)
            self.assertEqual(list(events), [])

    def test_a_loop_ends_with_the_engine(self):
        events = self.engine.subscribe()
        seen = []
        thread = threading.Thread(target=lambda: seen.extend(events))
        thread.start()
        self.tip()
        until(lambda: seen)
        self.engine.close()
        thread.join(30)
        self.assertFalse(thread.is_alive())

    def test_shutdown_lets_it_read_to_the_end(self):
        events = self.engine.subscribe(after_seq=0)
        self.engine.tips.create_many(NewTip("r", "a", "b", 1) for _ in range(3000))
        self.engine.shutdown()
        self.assertRaises(Closed, self.tip)
        self.assertEqual(len(list(events)), 3000)

    def test_several_threads_share_one(self):
        seen, lock = [], threading.Lock()
        events = self.engine.subscribe()

        def read():
            for event in events:
                with lock:
                    seen.append(event.seq)

        threads = [threading.Thread(target=read) for _ in range(3)]
        for each in threads:
            each.start()
        self.engine.tips.create_many(NewTip("r", "a", "b", 1) for _ in range(1000))
        until(lambda: len(seen) == 1000)
        events.close()
        for each in threads:
            each.join(30)
        self.assertEqual(sorted(seen), list(range(1, 1001)))

    def test_its_descriptor(self):
        with self.engine.subscribe() as events:
            with self.assertRaises(Timeout):
                events.get(0)
            self.assertEqual(select.select([events], [], [], 0)[0], [])
            self.tip()
            self.assertEqual(select.select([events], [], [], 30)[0], [events])
            events.get(0)

    def test_a_dropped_one_closes_itself(self):
        self.use_memory()
        self.tip()
        before = open_descriptors()
        for _ in range(1100):  # more than an engine may have
            for _ in self.engine.subscribe(after_seq=0):
                break
        self.assertEqual(open_descriptors(), before)
        kept = [self.engine.subscribe() for _ in range(1024)]
        self.assertRaises(LimitExceeded, self.engine.subscribe)
        self.assertEqual(open_descriptors(), before + 1024 * 4)
        gone = weakref.ref(kept[0])
        del kept
        gc.collect()
        self.assertIsNone(gone())
        self.assertEqual(open_descriptors(), before)

    def test_a_signal_handler_may_close_it(self):
        events = self.engine.subscribe()
        old = signal.signal(signal.SIGALRM, lambda *_: events.close())
        self.addCleanup(signal.signal, signal.SIGALRM, old)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        self.assertEqual(list(events), [])

    def test_a_signal_handler_that_raises_gets_through(self):
        def interrupt(*_):
            raise KeyboardInterrupt

        old = signal.signal(signal.SIGALRM, interrupt)
        self.addCleanup(signal.signal, signal.SIGALRM, old)
        events = self.engine.subscribe()
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with self.assertRaises(KeyboardInterrupt):
            list(events)
        self.tip()
        self.assertEqual(events.get(30).seq, 1)
