"""The end of an engine: from any thread, by the collector, at exit, after a fork."""

import gc
import os
import subprocess
import sys
import textwrap
import threading

import tipcurrent
from kit import EngineTest, open_descriptors, until
from tipcurrent import Busy, Closed, NewTip


class Close(EngineTest):
    def test_everything_says_closed_afterwards(self):
        tips, goals = self.engine.tips, self.engine.goals
        self.engine.close()
        self.engine.close()
        self.engine.shutdown()
        for call in (
            lambda: tips.create("r", "a", "b", 1), lambda: tips.submit("r", "a", "b", 1), lambda: tips.page(), lambda: tips.get(1), lambda: goals.find("r"),
            lambda: self.engine.subscribe(), lambda: self.engine.listen(print), lambda: self.engine.status(), lambda: self.engine.currency, lambda: self.engine.webhooks.find(),
            lambda: self.engine.boards.top(), lambda: self.engine.stats.periods(), lambda: self.engine.event_types.find(), lambda: self.engine.poll(),
        ):
            self.assertRaises(Closed, call)

    def test_while_others_call(self):
        ended = []

        def work():
            try:
                while True:
                    self.tip()
                    next(iter(self.engine.tips.find()))
            except Closed:
                ended.append(True)

        threads = [threading.Thread(target=work) for _ in range(4)] + [threading.Thread(target=self.engine.close) for _ in range(2)]
        for each in threads[:4]:
            each.start()
        until(lambda: self.engine.status().log_seq > 20)
        for each in threads[4:]:
            each.start()
        for each in threads:
            each.join(60)
            self.assertFalse(each.is_alive())
        self.assertEqual(len(ended), 4)
        self.assertGreater(self.open().status().log_seq, 20)

    def test_leaves_no_descriptor_and_no_thread(self):
        self.engine.close()

        def whole_life():
            with self.open("life.db") as engine:
                engine.tips.submit("r", "a", "b", 1).result()
                engine.listen(lambda event: None)
                engine.subscribe()
                engine.tips.create_many([NewTip("r", "a", "b", 1)] * 2000)

        whole_life()
        before = open_descriptors(), len(os.listdir("/proc/self/task"))
        for _ in range(5):
            whole_life()
        self.assertEqual(open_descriptors(), before[0])
        until(lambda: len(os.listdir("/proc/self/task")) <= before[1])  # the system takes a moment to let go of one that was joined, before and now

    def test_one_that_is_dropped_closes_itself(self):
        tips = tipcurrent.Engine(f"sqlite:{self.directory}/dropped.db").tips
        gc.collect()
        tips.submit("r", "a", "b", 1)  # what hangs on it keeps it
        self.assertRaises(Busy, self.open, "dropped.db")
        del tips  # at once, with what was submitted, whatever the collector of cycles does
        self.assertEqual(self.open("dropped.db").status().log_seq, 1)

    def run_program(self, text):
        """A program of its own; gives its output."""
        done = subprocess.run([sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(text), self.directory], capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def test_one_that_is_forgotten_is_closed_at_exit(self):
        self.run_program("""
            import sys, tipcurrent
            engine = tipcurrent.Engine(f"sqlite:{sys.argv[1]}/exit.db")
            seen = []
            engine.listen(lambda event: seen.append(event))
            subscription = engine.subscribe()
            for i in range(200):
                engine.tips.submit("r", "a", "b", 1)
        """)
        self.assertEqual(self.open("exit.db").status().log_seq, 200)

    def test_threads_that_still_wait_do_not_hold_up_the_exit(self):
        said = self.run_program("""
            import sys, threading, tipcurrent
            engine = tipcurrent.Engine(f"sqlite:{sys.argv[1]}/daemon.db")
            threading.Thread(target=lambda: list(engine.subscribe()), daemon=True).start()
            print(engine.tips.create("r", "a", "b", 1).id)
        """)
        self.assertEqual(said, "1\n")

    def test_after_a_fork_the_engine_is_the_parents(self):
        said = self.run_program("""
            import gc, os, sys, tipcurrent
            engine = tipcurrent.Engine(f"sqlite:{sys.argv[1]}/fork.db")
            events = engine.subscribe()
            engine.listen(print, room="nobody")
            child = os.fork()
            if not child:
                for call in (lambda: engine.tips.create("r", "a", "b", 1), lambda: events.get(0), engine.status):
                    try:
                        call()
                        print("not refused")
                    except tipcurrent.Closed:
                        pass
                engine.close()
                events.close()
                del events, engine
                gc.collect()
                with tipcurrent.Engine("memory:") as other:
                    print("child", other.tips.create("r", "a", "b", 1).id)
                sys.exit(0)
            print("status", os.waitpid(child, 0)[1], flush=True)
            print("parent", engine.tips.create("r", "a", "b", 1).id, events.get(30).id)
            engine.close()
        """)
        self.assertEqual(said, "child 1\nstatus 0\nparent 1 1\n")
