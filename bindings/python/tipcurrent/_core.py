"""The engine's pointer, shared by everything that calls it: counts who is inside, so that close from any thread waits for them and nobody comes in later."""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from typing import Any, Callable, List, Optional

from ._library import check, failure, lib
from .errors import Closed, InvalidArgument


class Core:
    """``with core as engine: lib.tc_...(engine, ...)``. Raises :class:`Closed` from the moment somebody closes."""

    def __init__(self, pointer: Any, threadless: bool) -> None:
        self.threadless = threadless
        self.abandoned = False  # in the child of a fork
        self.callback_threads: List[int] = []  # that are inside one of the engine's callbacks
        self.subscriptions: "weakref.WeakSet[Any]" = weakref.WeakSet()  # closed before the engine, with nobody inside any more
        self.after_call: Callable[[], None] = lambda: None  # by whoever may have run an engine without threads
        self.after_close: List[Callable[[], None]] = []  # when no callback will come any more
        self._pointer = pointer
        self._users = 0
        self._changed = threading.Condition()
        self._closing = False
        self._closed = False
        _living.add(self)

    def __enter__(self) -> Any:
        with self._changed:
            if self._closing:
                raise Closed("the engine is the parent process's" if self.abandoned else "engine is closing")
            self._users += 1
        return self._pointer

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._users -= 1
            if self._closing and not self._users:
                self._changed.notify_all()
        if self.threadless:
            self.after_call()

    def poll(self, timeout: Optional[float]) -> None:
        """See Engine.poll."""
        with self as engine:
            check(lib.tc_engine_poll(engine, -1 if timeout is None else min(int(timeout * 1000 + 0.999), 2**31 - 1)))

    def shutdown(self) -> None:
        """See Engine.shutdown."""
        with self._changed:
            if not self._closing:
                lib.tc_shutdown(self._pointer)

    def close(self) -> None:
        """See Engine.close. A second caller waits until the first is through."""
        if self.is_inside():
            raise InvalidArgument("an engine cannot be closed inside its callback")
        with self._changed:
            if self._closing:
                self._changed.wait_for(lambda: self._closed)
                return
            self._closing = True
        try:
            self._end()
        finally:
            with self._changed:
                self._closed = True
                self._changed.notify_all()

    def is_inside(self) -> bool:
        """This thread is inside one of the engine's callbacks."""
        return threading.get_ident() in self.callback_threads

    def __del__(self) -> None:
        if self._closing:
            return
        if self.is_inside():
            threading.Thread(target=self.close, name="tipcurrent-close").start()
        else:
            self.close()

    def _end(self) -> None:
        lib.tc_shutdown(self._pointer)  # wakes those that wait inside
        with self._changed:
            self._changed.wait_for(lambda: not self._users)
        for subscription in list(self.subscriptions):
            subscription.close()
        code = lib.tc_close(self._pointer)
        error = failure(code) if code else None
        for step in list(self.after_close):
            step()
        if error:
            raise error

    def abandon(self) -> None:
        """In the child of a fork: the engine is the parent's, its threads are not here, and its locks may be held for ever."""
        self._changed = threading.Condition()
        self.abandoned = self._closing = self._closed = True


_living: "weakref.WeakSet[Core]" = weakref.WeakSet()


def _close_all() -> None:
    """At exit, before the interpreter goes: the engine's threads must not call into it later."""
    for core in list(_living):
        core.close()


def _abandon_all() -> None:
    for core in list(_living):
        core.abandon()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_abandon_all)
