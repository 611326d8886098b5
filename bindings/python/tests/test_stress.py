"""Four threads and everything that calls back, for ten seconds (TIPCURRENT_STRESS_S=60: a minute): nothing crashes, nothing is lost, nothing grows."""

import asyncio
import gc
import os
import random
import threading
import time

import tipcurrent
from kit import EngineTest, open_descriptors, until
from tipcurrent import Busy, NewTip, Timeout, subscriptions

SECONDS = float(os.environ.get("TIPCURRENT_STRESS_S", "10"))
GROWTH_MAX = 16 << 20  # bytes: SQLite's and malloc's caches move by some


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Stress(EngineTest):
    options = {"tail_max_bytes": 1 << 20, "rollup_bytes": 1 << 20, "max_pending_bytes": 4 << 20, "log": lambda level, line: None}

    def setUp(self):
        super().setUp()
        self.stop = threading.Event()
        self.failures = []
        self.made = [0] * 4

    def turn(self, who, chance, seen):
        """One thing that a program does."""
        engine, room = self.engine, f"room{who}"
        what = chance.randrange(8)
        if what == 0:
            self.made[who] += engine.tips.create(room, "a", "b", chance.randrange(1, 10000)).room == room
        elif what == 1:
            submissions = [engine.tips.submit(room, "a", "b", 1) for _ in range(20)]
            self.made[who] += sum(each.result(30).amount == 1 for each in submissions)
        elif what == 2:
            self.made[who] += len(engine.tips.submit_many([NewTip(room, "a", "b", "2.50")] * 50).result(30))
        elif what == 3:
            for tip in engine.tips.find(room=room, size=10):
                if chance.randrange(30) == 0:
                    break
        elif what == 4:
            with engine.listen(lambda event: seen.append(event.seq), room=room):
                self.made[who] += engine.tips.create(room, "a", "b", 1).id > 0
        elif what == 5:
            known = threading.Event()

            def close_itself(event):
                if known.is_set():
                    listener.close()

            listener = engine.listen(close_itself, after_seq=max(0, engine.status().log_seq - 3))
            known.set()
            self.made[who] += engine.tips.create(room, "a", "b", 1).id > 0
        elif what == 6:
            with engine.subscribe(room=room) as events:
                tip = engine.tips.create(room, "a", "b", 1)
                self.made[who] += 1
                if events.get(30) != tip:
                    raise AssertionError("another event than the one that was created")
        else:
            asyncio.run(self.follow(who))

    async def follow(self, who):
        with self.engine.subscribe(room=f"room{who}") as events:
            waiting = asyncio.ensure_future(events.__anext__())
            tip = await self.engine.tips.submit(f"room{who}", "a", "b", 1)
            self.made[who] += 1
            if await waiting != tip:
                raise AssertionError("another event than the one that was awaited")

    def work(self, who):
        chance, seen = random.Random(who), []
        try:
            while not self.stop.is_set():
                try:
                    self.turn(who, chance, seen)
                except Busy:
                    pass  # the small queue is full, nothing was stored
                if seen != sorted(set(seen)):
                    raise AssertionError("a listener saw events twice or out of order")
                del seen[:]
        except BaseException as error:
            self.failures.append(error)
            self.stop.set()

    def measure(self):
        gc.collect()
        return {"objects": len(gc.get_objects()), "bytes": resident()}

    def test_four_threads(self):
        before = open_descriptors(), len(os.listdir("/proc/self/task"))
        engine_listens = self.engine.listen(lambda event: None)
        threads = [threading.Thread(target=self.work, args=(who,)) for who in range(4)]
        for each in threads:
            each.start()
        self.stop.wait(SECONDS / 2)
        half = self.measure()
        self.stop.wait(SECONDS / 2)
        end = self.measure()
        self.stop.set()
        for each in threads:
            each.join(60)
            self.assertFalse(each.is_alive())
        self.assertEqual(self.failures, [])
        for who, made in enumerate(self.made):
            self.assertGreater(made, 10)
            self.assertEqual(self.engine.tips.page(room=f"room{who}").total, made)
        self.assertLess(end["bytes"] - half["bytes"], GROWTH_MAX)
        self.assertLess(end["objects"] - half["objects"], 2000)
        engine_listens.close()
        until(lambda: not subscriptions._listeners, "listeners that closed themselves")
        self.engine.close()
        self.assertLessEqual(open_descriptors(), before[0])
        until(lambda: len(os.listdir("/proc/self/task")) <= before[1], "threads' end")
        print("     %d tips, %d events/s" % (sum(self.made), sum(self.made) / SECONDS))

    def test_engines_come_and_go(self):
        """Opened, used and closed again and again: as after a hundred, so after three hundred."""
        def whole_life():
            with tipcurrent.Engine("memory:", log=lambda level, line: None) as engine:
                with engine.subscribe() as events, engine.listen(lambda event: None):
                    engine.tips.submit("r", "a", "b", 1)
                    events.get(30)
                    try:
                        events.get(0)
                    except Timeout:
                        pass

        self.engine.close()
        for _ in range(100):
            whole_life()
        before = self.measure()
        descriptors = open_descriptors()
        for _ in range(200):
            whole_life()
        after = self.measure()
        self.assertEqual(open_descriptors(), descriptors)
        self.assertLess(after["objects"] - before["objects"], 100)
        self.assertLess(after["bytes"] - before["bytes"], 4 << 20)
