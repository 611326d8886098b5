"""Functions that the engine calls: kept alive, from its own thread, safe to close from anywhere."""

import gc
import threading
import weakref

from kit import EngineTest, until
from tipcurrent import InvalidArgument, Kind, NewTip


class Listeners(EngineTest):
    def test_each_event_once_in_order(self):
        seen = []
        with self.engine.listen(lambda event: seen.append(event.seq), room="r", kinds=[Kind.TIP]):
            self.engine.tips.create_many(NewTip("r" if i % 2 else "q", "a", "b", 1) for i in range(400))
            until(lambda: len(seen) == 200)
        self.tip()
        self.assertEqual(seen, list(range(2, 401, 2)))

    def test_one_that_nobody_keeps_is_called_all_the_same(self):
        seen = []
        self.engine.listen(lambda event: seen.append(event.seq))
        gc.collect()
        self.tip()
        until(lambda: seen == [1])

    def test_the_history_too(self):
        self.engine.tips.create_many(NewTip("r", "a", "b", 1) for _ in range(1000))
        seen = []
        listener = self.engine.listen(lambda event: seen.append(event.seq), after_seq=500)
        until(lambda: len(seen) == 500)
        listener.close()
        self.assertEqual(listener.seq, 1000)

    def test_it_may_close_itself_and_create(self):
        seen = []

        def callback(event):
            seen.append(event.seq)
            if len(seen) == 3:
                listener.close()
                self.engine.tips.create("answer", "a", "b", 1)

        listener = self.engine.listen(callback, room="r")
        for _ in range(6):
            self.tip()
        until(lambda: self.engine.tips.page(room="answer").total == 1)
        self.engine.tips.create("other", "a", "b", 1)
        self.assertEqual(len(seen), 3)

    def test_close_waits_for_a_running_callback(self):
        entered, go, left = threading.Event(), threading.Event(), threading.Event()

        def callback(_):
            entered.set()
            go.wait(30)
            left.set()

        listener = self.engine.listen(callback)
        self.tip()
        self.assertTrue(entered.wait(30))
        closer = threading.Thread(target=listener.close)
        closer.start()
        self.assertFalse(left.is_set())
        go.set()
        closer.join(30)
        self.assertTrue(left.is_set())

    def test_an_engine_cannot_be_closed_inside(self):
        said = []

        def callback(_):
            try:
                self.engine.close()
            except InvalidArgument as error:
                said.append(str(error))

        self.engine.listen(callback)
        self.tip()
        until(lambda: said)
        self.assertIn("inside its callback", said[0])
        self.assertEqual(self.tip().id, 2)  # nothing has ended

    def test_the_engines_close_passes_on_what_is_committed(self):
        seen = []
        self.engine.listen(lambda event: seen.append(event.seq))
        self.engine.tips.submit_many([NewTip("r", "a", "b", 1)] * 300)
        self.engine.close()
        self.assertEqual(seen, list(range(1, 301)))

    def test_what_it_raises_is_reported_and_does_not_end_it(self):
        seen, reported = [], self.unraisable

        def callback(event):
            seen.append(event.seq)
            raise RuntimeError(f"no {event.seq}")

        with self.engine.listen(callback):
            self.tip()
            self.tip()
            until(lambda: len(reported) == 2)
        self.assertEqual((seen, [str(each) for each in reported]), ([1, 2], ["no 1", "no 2"]))
        reported.clear()

    def test_nothing_is_kept_after_close(self):
        class Callback:
            def __call__(self, event):
                pass

        callback = Callback()
        gone = weakref.ref(callback)
        listener = self.engine.listen(callback)
        del callback
        gc.collect()
        self.assertIsNotNone(gone())
        listener.close()
        del listener
        gc.collect()
        self.assertIsNone(gone())
