"""Following the log: a Subscription is pulled by a for loop or an async for loop, a Listener calls a function.

Either is a cursor over the log and holds only the seq that it has reached: whoever is slow, or starts in the past, sees every event once, in seq order, however late.

>>> with engine.subscribe(room="gaming") as events:
...     tip = engine.tips.create("gaming", "alice", "bob", 5)
...     for event in events:
...         print(event.seq, event.kind.name, event.amount)
...         break
1 TIP 5.00
>>> with engine.subscribe(after_seq=0) as events:  # from the beginning
...     events.get(timeout=10) == tip
True
"""

from __future__ import annotations

import asyncio
import ctypes
import itertools
import os
import select
import threading
import time
from typing import Any, AsyncIterator, Callable, Dict, Iterable, Iterator, List, Optional

from . import events
from ._core import Core
from ._library import check, failure, lib
from ._structs import EVENT_FN, SubOptions, sized
from ._values import text_in
from .errors import Closed, InvalidArgument, Timeout
from .events import Event

AFTER_SEQ = 1  # TC_SUB_AFTER_SEQ
NO_FUNCTION: Any = EVENT_FN(0)
TIMED_OUT, ENDED = Timeout.code, Closed.code
#: How often an async for that always finds something lets the loop's other tasks run.
FAIR = 64
#: Without library threads whoever waits runs the engine; so long at a time, in order to see a close.
SLICE_MS = 50


def options_of(room: Optional[str], kinds: Optional[Iterable[int]], after_seq: Optional[int]) -> SubOptions:
    mask = 0
    for kind in kinds or ():
        if not 1 <= kind <= 63:
            raise InvalidArgument(f"kinds: {kind} is none")
        mask |= 1 << kind
    if kinds is not None and not mask:
        raise InvalidArgument("kinds: there is none")
    return sized(SubOptions, room_id=text_in("roomId", room), kinds=mask, after_seq=after_seq or 0, flags=0 if after_seq is None else AFTER_SEQ)


class Subscription(Iterator[Event], AsyncIterator[Event]):
    """``engine.subscribe(...)``: iterate over it, in a thread or under asyncio. A loop ends when the subscription or the engine is closed.

    Every method may be called from every thread; of several threads or tasks that iterate, each event goes to one. As a context manager it closes itself.
    """

    def __init__(self, core: Core, options: SubOptions) -> None:
        self._core = core
        # Held for calls that do not wait long. It can be taken again by a signal handler that closes, and by a listener that this very call of the library runs (an engine without
        # threads): then the close has to wait until that call is over.
        self._lock = threading.RLock()
        self._calls = 0
        self._close_wanted = False
        self._waiting = 0
        self._seq = 0
        self._taken = 0
        pointer = ctypes.c_void_p()
        self._wake_read, self._wake_write = os.pipe()
        try:
            with core as engine:
                check(lib.tc_subscribe(engine, options, NO_FUNCTION, None, ctypes.byref(pointer)))
                # A descriptor of our own: whoever waits on it may do so a moment longer than the library's lives.
                self._fd = os.dup(lib.tc_sub_fd(pointer))
                self._pointer: Optional[ctypes.c_void_p] = pointer
                core.subscriptions.add(self)
        except BaseException:
            if pointer:
                lib.tc_sub_close(pointer)
            os.close(self._wake_read)
            os.close(self._wake_write)
            raise

    def __enter__(self) -> "Subscription":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> "Subscription":
        return self

    def __next__(self) -> Event:
        try:
            return self.get()
        except Closed:
            raise StopIteration from None

    def __aiter__(self) -> "Subscription":
        return self

    async def __anext__(self) -> Event:
        self._taken += 1
        if self._taken % FAIR == 0:
            await asyncio.sleep(0)
        while True:
            try:
                event = self._look(0)
            except Closed:
                raise StopAsyncIteration from None
            if event is not None:
                return event
            await self._readable()

    def get(self, timeout: Optional[float] = None) -> Event:
        """The next event; waits for it, timeout seconds at most (None: as long as it takes, 0: not at all).

        Raises Timeout; Closed when the subscription is closed, or the engine and everything has been passed on; StorageFailed (the log could not be read: try again).
        """
        give_up = None if timeout is None else time.monotonic() + timeout
        while True:
            left_ms = None if give_up is None else max(0, int((give_up - time.monotonic()) * 1000))
            event = self._look(min(SLICE_MS, SLICE_MS if left_ms is None else left_ms) if self._core.threadless else 0)
            if event is not None:
                return event
            if give_up is not None and time.monotonic() >= give_up:
                raise Timeout(f"no event within {timeout} s")
            if not self._core.threadless:
                self._wait(None if left_ms is None else left_ms + 1)

    def fileno(self) -> int:
        """A descriptor that polls readable when :meth:`get` may have something; it falls back when ``get(0)`` raises Timeout. Only to be watched; -1 when closed."""
        return self._fd if self._pointer is not None else -1

    @property
    def seq(self) -> int:
        """The seq up to which everything that matches has been passed on: where to resume, as ``after_seq``. Still known when closed."""
        if self._core.abandoned:
            return self._seq
        with self._lock:
            if self._pointer is not None:
                self._seq = lib.tc_sub_seq(self._pointer)
            return self._seq

    def close(self) -> None:
        """Ends it: loops over it, of other threads and tasks too, end at once. Any thread; does not block. May be called again."""
        if self._core.abandoned:
            return
        with self._lock:
            if self._calls:
                self._close_wanted = True
            elif self._pointer is not None:
                self._end()

    def _end(self) -> None:
        self._seq = lib.tc_sub_seq(self._pointer)
        lib.tc_sub_close(self._pointer)
        self._pointer = None
        os.write(self._wake_write, b"x")  # never read: whoever waits, and whoever will, wakes
        self._close_descriptors()

    def __del__(self) -> None:
        if getattr(self, "_pointer", None) is not None:
            self.close()

    def _look(self, timeout_ms: int) -> Optional[Event]:
        pointer = ctypes.c_void_p()
        with self._lock:
            if self._pointer is None or self._core.abandoned:
                raise Closed("subscription is closed")
            self._calls += 1
            try:
                code = lib.tc_sub_next(self._pointer, timeout_ms, ctypes.byref(pointer))
                error = failure(code) if code and code != TIMED_OUT else None
            finally:
                self._calls -= 1
            if self._close_wanted and not self._calls:
                self._end()
            if error:
                raise error
        if timeout_ms:
            self._core.after_call()
        return None if code else events.take(pointer)

    # Who waits does so on descriptors only, outside the lock, and the last to leave a closed subscription closes them.

    def _begin_wait(self) -> bool:
        with self._lock:
            if self._pointer is None:
                return False
            self._waiting += 1
            return True

    def _end_wait(self) -> None:
        with self._lock:
            self._waiting -= 1
            self._close_descriptors()

    def _close_descriptors(self) -> None:
        if self._pointer is None and not self._waiting and self._fd >= 0:
            for fd in (self._fd, self._wake_read, self._wake_write):
                os.close(fd)
            self._fd = -1

    def _wait(self, timeout_ms: Optional[int]) -> None:
        if not self._begin_wait():
            return
        try:
            poll = select.poll()
            poll.register(self._fd, select.POLLIN)
            poll.register(self._wake_read, select.POLLIN)
            poll.poll(timeout_ms)
        finally:
            self._end_wait()

    async def _readable(self) -> None:
        if not self._begin_wait():
            return
        loop = asyncio.get_running_loop()
        woken = loop.create_future()

        def wake() -> None:
            if not woken.done():
                woken.set_result(None)

        # Descriptors of this wait alone: a loop knows one reader for each, and several tasks may wait.
        fds = [os.dup(self._fd), os.dup(self._wake_read)]
        try:
            for fd in fds:
                loop.add_reader(fd, wake)
            await woken
        finally:
            for fd in fds:
                loop.remove_reader(fd)
                os.close(fd)
            self._end_wait()


_listeners: Dict[int, "Listener"] = {}
_tokens = itertools.count(1)


def _on_event(pointer: Any, token: Any) -> None:
    listener = _listeners.get(token)
    if listener is not None:
        listener._call(pointer)


# One function for all listeners, never freed: the library can be told to call it as long as the process lives, and what a listener is gone for finds nobody.
_ON_EVENT = EVENT_FN(_on_event)


class Listener:
    """``engine.listen(callback, ...)``: calls the function for each event. As a context manager it closes itself."""

    def __init__(self, core: Core, options: SubOptions, callback: Callable[[Event], None]) -> None:
        self._core = core
        self._callback = callback
        self._lock = threading.Lock()
        self._seq = 0
        self._token = next(_tokens)
        pointer = ctypes.c_void_p()
        self._pointer: Optional[ctypes.c_void_p] = None
        with core as engine:
            _listeners[self._token] = self  # before it: the first event may come at once
            try:
                check(lib.tc_subscribe(engine, options, _ON_EVENT, self._token, ctypes.byref(pointer)))
            except BaseException:
                del _listeners[self._token]
                raise
            self._pointer = pointer
            core.after_close.append(self._free)

    def __enter__(self) -> "Listener":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def seq(self) -> int:
        """The seq up to which everything that matches has been passed on: where to resume, as ``after_seq``. Still known when closed."""
        if self._core.abandoned:
            return self._seq
        with self._lock:
            if self._pointer is not None:
                self._seq = lib.tc_sub_seq(self._pointer)
            return self._seq

    def close(self) -> None:
        """Ends it. Outside its callback this returns once the callback no longer runs (so hold nothing that it waits for); inside it takes effect when that returns. May be
        called again. When the engine is being closed at the same time, that ends it."""
        try:
            with self._core:
                self._free()
                if self._free in self._core.after_close:
                    self._core.after_close.remove(self._free)
        except Closed:
            pass

    def _free(self) -> None:
        with self._lock:
            pointer, self._pointer = self._pointer, None
            if pointer is not None:
                self._seq = lib.tc_sub_seq(pointer)
        if pointer is not None:
            lib.tc_sub_close(pointer)
            _listeners.pop(self._token, None)

    def _call(self, pointer: Any) -> None:
        inside: List[int] = self._core.callback_threads
        me = threading.get_ident()
        inside.append(me)
        try:
            self._callback(events.decode(pointer))
        finally:
            inside.remove(me)
