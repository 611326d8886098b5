"""The engine: one log with everything that serves it."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Callable, Iterable, Optional

from . import _structs as c
from ._core import Core
from ._hooks import ClockLike, Hooks, LogLike, RandomLike
from ._library import check, lib
from ._structs import sized
from ._submissions import Collector, InlineCollector
from ._values import text_in
from .activities import Activities, EventTypes
from .boards import Boards
from .errors import InvalidArgument
from .events import Event
from .goals import Goals
from .reactions import Reactions
from .refunds import Refunds
from .stats import StatsReader
from .subscriptions import Listener, Subscription, options_of
from .tips import Tips
from .webhooks import WebhookOptions, Webhooks

MISMATCH_REPLAY, NO_THREADS = 1, 2  # TC_MISMATCH_REPLAY, TC_NO_THREADS
ROLES = ("alone", "leader", "follower")  # TC_ROLE_X


@dataclass(frozen=True)
class Status:
    """The state of every queue and cursor at one moment."""

    #: seq of the last committed event; 0: none.
    log_seq: int
    #: Up to here the indexes are built.
    index_seq: int
    #: Up to here statistics, leaderboards and goals have counted.
    stats_seq: int
    #: Accepted, not yet committed.
    pending_bytes: int
    pending_events: int
    #: In memory.
    tail_bytes: int
    tail_events: int
    #: Since the engine was opened.
    commits: int
    #: "leader" or "follower" among the engines that share the log (PostgreSQL); "alone" where the storage is one engine's.
    role: str
    #: Other engines share the log, as far as has been seen lately.
    others: bool
    #: How many of the webhook_shares_all parts of the webhooks this engine sends: all of them, where it is alone.
    webhook_shares: int
    webhook_shares_all: int
    #: False: the backlog is being indexed, reads and keyed creates raise Busy.
    ready: bool
    #: 0, or the code of the last commit or index batch when that failed and none has succeeded since.
    storage_error: int


class Engine:
    """An open engine. ``with Engine("sqlite:tips.db") as engine: ...`` closes it at the end; one that is forgotten is closed when it is collected, at the latest at exit.

    storage_url: ``sqlite:PATH`` (files beside it have PATH with ``-index``, ``-work``, ``-lock`` before its suffix) or ``memory:``.
    max_pending_bytes: accepted but not committed, beyond it Busy; 0 is 64 MiB. create_deadline_ms: how long a create may wait for its commit; 0 is 5000.
    idempotency_ttl_s: how long keys are remembered; 0 is 86400. tail_max_events, tail_max_bytes: committed but not indexed, beyond it creates wait; 0 is 262144 and 64 MiB.
    rollup_bytes: memory for statistics; 0 is 64 MiB. currency: ISO 4217 of amounts that name none; None: as the log says, USD for a new one.
    mismatch_replay: a known key with another request gives the first event instead of KeyMismatch.
    threads: False starts none, and the program runs the engine by :meth:`poll`.
    log: a ``logging.Logger`` or a function of (level, line), called from any thread; it must not close the engine. None: silence.
    clock, random: where time and chance come from, for tests.

    Blocks for file I/O. Raises InvalidArgument (names the option), Busy (another process or engine has the files), StorageFailed, Corrupt, NotSupported (unknown scheme),
    VersionMismatch (files of a newer release), OutOfMemory.

    Threads: every method of everything here may be called from every thread. After ``os.fork`` the child's engines are closed: they are the parent's.
    """

    def __init__(
        self, storage_url: str, *, max_pending_bytes: int = 0, create_deadline_ms: int = 0, idempotency_ttl_s: int = 0, tail_max_events: int = 0,
        tail_max_bytes: int = 0, rollup_bytes: int = 0, currency: Optional[str] = None, mismatch_replay: bool = False, threads: bool = True,
        webhooks: Optional[WebhookOptions] = None, log: Optional[LogLike] = None, clock: Optional[ClockLike] = None, random: Optional[RandomLike] = None,
    ) -> None:
        hooks = Hooks(log, clock, random)
        pointer = ctypes.c_void_p()
        try:
            options = sized(
                c.Options, storage_url=text_in("storage_url", storage_url), max_pending_bytes=max_pending_bytes, create_deadline_ms=create_deadline_ms,
                flags=(MISMATCH_REPLAY if mismatch_replay else 0) | (0 if threads else NO_THREADS), idempotency_ttl_s=idempotency_ttl_s,
                tail_max_events=tail_max_events, tail_max_bytes=tail_max_bytes, rollup_bytes=rollup_bytes, currency=text_in("currency", currency),
                log=hooks.log, clock=hooks.clock, random=hooks.random, webhooks=ctypes.pointer(webhooks._struct()) if webhooks else None,
            )
            check(lib.tc_open(ctypes.byref(pointer), options))
        except BaseException:
            hooks.release()
            raise
        self._core = Core(pointer, threadless=not threads)
        collector = Collector()
        if not threads:
            collector = inline = InlineCollector()
            self._core.after_call = inline.advance
        self._core.after_close += [collector.stop, hooks.release]
        self.tips = Tips(self._core, collector)
        self.reactions = Reactions(self._core, collector)
        self.activities = Activities(self._core, collector)
        self.event_types = EventTypes(self._core)
        self.refunds = Refunds(self._core, collector)
        self.goals = Goals(self._core)
        self.boards = Boards(self._core)
        self.stats = StatsReader(self._core)
        self.webhooks = Webhooks(self._core)

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Commits what was accepted, ends subscriptions, waits for callbacks and for calls of other threads, closes the files. What waits elsewhere wakes with Closed.

        Submissions are done when this returns. Any thread but one inside a callback (InvalidArgument); blocks; may be called again.
        """
        self._core.close()

    def shutdown(self) -> None:
        """Begins the end without waiting: later creates raise Closed; subscriptions pass on what is committed, and then their loops end. :meth:`close` has still to come."""
        self._core.shutdown()

    @property
    def currency(self) -> str:
        """The currency of amounts that name none: three capital letters."""
        with self._core as engine:
            return str(lib.tc_engine_currency(engine).decode())

    def status(self) -> Status:
        """The state of every queue and cursor at one moment. Does not block."""
        row = sized(c.Status)
        with self._core as engine:
            check(lib.tc_engine_status(engine, row))
        return Status(
            log_seq=row.log_seq, index_seq=row.index_seq, stats_seq=row.stats_seq, pending_bytes=row.pending_bytes, pending_events=row.pending_events,
            tail_bytes=row.tail_bytes, tail_events=row.tail_events, commits=row.commits, role=ROLES[row.role], others=row.others == 1,
            webhook_shares=row.webhook_shares, webhook_shares_all=row.webhook_shares_all, ready=row.ready == 1, storage_error=row.storage_error,
        )

    def subscribe(self, *, room: Optional[str] = None, kinds: Optional[Iterable[int]] = None, after_seq: Optional[int] = None) -> Subscription:
        """Follows the log: ``for event in engine.subscribe(room="r")``, or ``async for``.

        room: None is all rooms. kinds: of :class:`Kind`; None is all. after_seq: begins behind it (0 is the whole log); None: with what is committed from now on.
        Does not block. Raises InvalidArgument, LimitExceeded (1,024 subscriptions an engine), Closed.
        """
        return Subscription(self._core, options_of(room, kinds, after_seq))

    def listen(
        self, callback: Callable[[Event], None], *, room: Optional[str] = None, kinds: Optional[Iterable[int]] = None, after_seq: Optional[int] = None
    ) -> Listener:
        """Calls callback for each event, on the engine's own thread, one at a time, in seq order. The rest as subscribe.

        It may call everything but :meth:`close`; while it runs, other listeners wait. What it raises goes to ``sys.unraisablehook``, and it is called again for the next event.
        """
        return Listener(self._core, options_of(room, kinds, after_seq), callback)

    # Without threads.

    def poll(self, timeout: Optional[float] = 0) -> None:
        """Of an engine without threads: does what is due, at most one piece of each; if there was nothing, waits for it up to timeout seconds (None: no limit).

        Submissions, listeners, webhooks and indexes move only here, in creates, and in subscriptions and submissions that are waited for. Raises InvalidArgument (an engine with threads; inside a
        callback), Closed (after shutdown, when all is done).
        """
        self._core.poll(timeout)

    def fileno(self) -> int:
        """Of an engine without threads: a descriptor that polls readable when :meth:`poll` has something to do; only to be watched. Raises InvalidArgument with threads."""
        with self._core as engine:
            fd = int(lib.tc_engine_fd(engine))
            if fd < 0:
                check(InvalidArgument.code)
            return fd

    def tick(self) -> bool:
        """Of an engine without threads: one slice of indexing, or of clean-up when there is nothing to index; True: there is more to do. Blocks for file I/O."""
        more = ctypes.c_int32()
        with self._core as engine:
            check(lib.tc_engine_tick(engine, ctypes.byref(more)))
        return more.value == 1
