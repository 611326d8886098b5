"""Creates that do not wait: a Submission is a future of what became of them.

The library's completion functions run on its writer's thread, where a Python function would hold up every commit until it gets the GIL. So nothing of Python runs there: submits
are batches (tipcurrent/batch.h), and one thread of this package waits for them in the order they were made, which is the order of commits. An engine without threads gets none
from here either: whoever runs it finishes them.

>>> submissions = [engine.tips.submit("gaming", "alice", "bob", 1) for _ in range(100)]
>>> max(each.result().id for each in submissions)
100
>>> results = engine.tips.submit_many([tipcurrent.NewTip("gaming", "alice", "bob", 1), tipcurrent.NewTip("", "alice", "bob", 1)]).result()
>>> results.failed, results[1]
(1, InvalidArgument('roomId: must not be blank'))
"""

from __future__ import annotations

import asyncio
import collections
import ctypes
import math
import queue
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Callable, Deque, Generator, Iterator, List, Optional, Sequence, Tuple, TypeVar, Union, overload

from . import events
from ._core import Core
from ._library import check, lib
from ._structs import BatchOptions, sized
from .errors import Closed, Error, error_of

T = TypeVar("T")


class Submission(Future[T]):
    """A :class:`concurrent.futures.Future` that can also be awaited. What was submitted cannot be taken back: ``cancel()`` does nothing and returns False.

    Done callbacks run on a thread of this package (of an engine without threads: on whichever runs it) and should be short; they may call everything.
    """

    def __init__(self, run: Optional[Callable[[float], None]] = None) -> None:
        """run: what a waiting caller has to do meanwhile, for so many seconds at most; None: nothing, others do it."""
        super().__init__()
        self._run = run
        self.set_running_or_notify_cancel()

    def __await__(self) -> Generator[Any, None, T]:
        return asyncio.wrap_future(self).__await__()

    def result(self, timeout: Optional[float] = None) -> T:
        """What became of it, or its error raised; waits for it, timeout seconds at most. Of an engine without threads the caller runs it meanwhile."""
        return super().result(self._waited(timeout))

    def exception(self, timeout: Optional[float] = None) -> Optional[BaseException]:
        """Its error, or None; waits as result."""
        return super().exception(self._waited(timeout))

    def _waited(self, timeout: Optional[float]) -> Optional[float]:
        """What is left of timeout when there is nothing to do but to wait."""
        if self._run is None:
            return timeout
        give_up = math.inf if timeout is None else time.monotonic() + timeout
        while not self.done() and time.monotonic() < give_up:
            self._run(min(0.05, max(0.0, give_up - time.monotonic())))
        return 0


class Results(Sequence[Union[T, Error]]):
    """What became of each of many creates, in their order: the event, or the :class:`Error` that it failed with. Decoded when looked at."""

    def __init__(self, batch: Any) -> None:
        self._batch = batch
        self._count: int = lib.tc_batch_count(batch)

    def __del__(self, free: Any = lib.tc_batch_free) -> None:
        free(self._batch)

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Union[T, Error]: ...

    @overload
    def __getitem__(self, index: slice) -> List[Union[T, Error]]: ...

    def __getitem__(self, index: Union[int, slice]) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self._count))]
        return self._answer(range(self._count)[index])

    def _answer(self, i: int) -> Any:
        result = lib.tc_batch_at(self._batch, i).contents
        if result.code:
            return error_of(result.code, result.detail.decode("utf-8", "replace"))
        return events.decode(result.event, result.replayed == 1)

    @property
    def failed(self) -> int:
        """How many were refused or failed. Costs nothing."""
        return int(lib.tc_batch_failed(self._batch))

    def errors(self) -> Iterator[Tuple[int, Error]]:
        """The index and the error of each that failed."""
        if self.failed:
            for i in range(self._count):
                answer = self[i]
                if isinstance(answer, Error):
                    yield i, answer

    def only(self) -> Any:
        """The event of a batch of one; raises its error."""
        answer = self[0]
        if isinstance(answer, Error):
            raise answer
        return answer


@dataclass(frozen=True)
class Report:
    """What became of a create_many: all of it has been answered."""

    #: How many were asked for.
    count: int
    #: The index and the error of each that failed.
    errors: List[Tuple[int, Error]]


#: A batch, its future, and how the one's results become the other's.
Job = Tuple[Any, "Submission[Any]", Callable[[Any], Any]]


def _finish(batch: Any, submission: "Submission[Any]", finish: Callable[[Any], Any]) -> None:
    try:
        results: Results[Any] = Results(batch)
        check(lib.tc_batch_wait(batch, -1))
        submission.set_result(finish(results))
    except Exception as error:
        submission.set_exception(error)


class Collector:
    """Finishes submissions when their batches are answered. Knows no engine, so that one which is dropped closes at once. This one is for engines with threads: a thread of its own starts with the first one and ends with the engine."""

    def __init__(self) -> None:
        self._jobs: "queue.SimpleQueue[Optional[Job]]" = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._thread: Optional[threading.Thread] = None

    def submit(self, core: Core, kind: int, lines: str, finish: Callable[[Any], Any]) -> "Submission[Any]":
        data = lines.encode()
        batch, submission = ctypes.c_void_p(), self._submission(core)
        with core as engine:
            check(lib.tc_batch_submit(engine, sized(BatchOptions, kind=kind), data, len(data), ctypes.byref(batch)))
            self._add((batch, submission, finish))
        return submission

    def _submission(self, core: Core) -> "Submission[Any]":
        return Submission()

    def _add(self, job: Job) -> None:
        with self._starting:
            if self._thread is None:
                # A daemon: whoever forgets to close does not hang at exit, where the engine is closed before such threads are left behind.
                self._thread = threading.Thread(target=_collect, args=(self._jobs,), name="tipcurrent", daemon=True)
                self._thread.start()
        self._jobs.put(job)

    def stop(self) -> None:
        """After tc_close: all batches have their answers. Returns when they have been passed on."""
        if self._thread is None:
            return
        self._jobs.put(None)
        if self._thread is not threading.current_thread():
            self._thread.join()


def _collect(jobs: "queue.SimpleQueue[Optional[Job]]") -> None:
    while True:
        job = jobs.get()
        if job is None:
            return
        _finish(*job)
        del job  # not kept until the next one comes


class InlineCollector(Collector):
    """For engines without threads: whoever has run the engine looks what is answered."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: Deque[Job] = collections.deque()
        self._looking = threading.RLock()  # done callbacks may come here again

    def _submission(self, core: Core) -> "Submission[Any]":
        def run(seconds: float) -> None:
            try:
                core.poll(seconds)
            except Closed:
                time.sleep(seconds)  # somebody is closing the engine, and will finish it

        return Submission(run)

    def _add(self, job: Job) -> None:
        self._waiting.append(job)

    def advance(self) -> None:
        """Finishes what is answered, in order."""
        with self._looking:
            while self._waiting and lib.tc_batch_wait(self._waiting[0][0], 0) == 0:
                _finish(*self._waiting.popleft())

    def stop(self) -> None:
        self.advance()
