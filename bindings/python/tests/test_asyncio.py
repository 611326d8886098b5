"""Under asyncio: async for on the pollable descriptor, and creates that are awaited."""

import asyncio
import threading

from kit import EngineTest, open_descriptors
from tipcurrent import InvalidArgument, NewTip


def run(main):
    return asyncio.run(asyncio.wait_for(main, 60))


class Asyncio(EngineTest):
    def test_events_come_in_order_beside_other_tasks(self):
        async def read(events, n):
            seen = []
            async for event in events:
                seen.append(event.seq)
                if len(seen) == n:
                    return seen

        async def main():
            with self.engine.subscribe(room="r") as all_of_them, self.engine.subscribe(room="other") as others:
                readers = asyncio.gather(read(all_of_them, 300), read(others, 1))
                for _ in range(300):
                    await self.engine.tips.submit("r", "a", "b", 1)
                await self.engine.tips.submit("other", "a", "b", 1)
                return await readers

        self.assertEqual(run(main()), [list(range(1, 301)), [301]])

    def test_a_long_history_lets_others_run(self):
        self.engine.tips.create_many(NewTip("r", "a", "b", 1) for _ in range(2000))

        async def main():
            turns = 0

            async def count_turns():
                nonlocal turns
                while True:
                    turns += 1
                    await asyncio.sleep(0)

            counter = asyncio.ensure_future(count_turns())
            n = 0
            with self.engine.subscribe(after_seq=0) as events:
                async for _ in events:
                    n += 1
                    if n == 2000:
                        break
            counter.cancel()
            return turns

        self.assertGreaterEqual(run(main()), 20)

    def test_close_ends_waiting_tasks(self):
        async def main(close):
            events = self.engine.subscribe()

            async def read():
                return [event async for event in events]

            tasks = [asyncio.ensure_future(read()) for _ in range(3)]
            await asyncio.sleep(0.02)
            close(events)
            self.assertEqual(await asyncio.gather(*tasks), [[], [], []])

        self.use_memory()
        before = open_descriptors()
        run(main(lambda events: events.close()))
        run(main(lambda events: threading.Thread(target=events.close).start()))
        self.assertEqual(open_descriptors(), before)
        run(main(lambda events: self.engine.close()))  # in the loop's own thread, while its tasks wait

    def test_a_cancelled_task_leaves_nothing(self):
        async def main():
            events = self.engine.subscribe()
            waiting = asyncio.ensure_future(events.__anext__())
            await asyncio.sleep(0.02)
            waiting.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await waiting
            tip = await self.engine.tips.submit("r", "a", "b", 1)
            self.assertEqual(await events.__anext__(), tip)
            events.close()

        self.use_memory()
        before = open_descriptors()
        run(main())
        self.assertEqual(open_descriptors(), before)

    def test_awaited_creates(self):
        async def main():
            tips = await asyncio.gather(*(self.engine.tips.submit("r", "a", "b", i + 1) for i in range(500)))
            with self.assertRaises(InvalidArgument):
                await self.engine.tips.submit("", "a", "b", 1)
            results = await self.engine.tips.submit_many([NewTip("r", "a", "b", 1)] * 10)
            return [tip.amount for tip in tips], results.failed

        self.assertEqual(run(main()), ([i + 1 for i in range(500)], 0))

    def test_a_cancelled_wait_takes_nothing_back(self):
        async def main():
            waiting = asyncio.ensure_future(asyncio.wrap_future(self.engine.tips.submit("r", "a", "b", 1)))
            waiting.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await waiting

        run(main())
        self.engine.close()
        self.assertEqual(self.open().status().log_seq, 1)

    def test_an_engine_without_threads_in_the_loop(self):
        async def main():
            engine = self.open("loop.db", threads=False)
            loop = asyncio.get_running_loop()
            loop.add_reader(engine.fileno(), engine.poll)
            with engine.subscribe() as events:
                tip = await engine.tips.submit("r", "a", "b", 1)
                event = await events.__anext__()
                self.assertEqual((event, threading.active_count()), (tip, 1))
            loop.remove_reader(engine.fileno())
            engine.close()
            return event.seq

        self.assertEqual(run(main()), 1)
