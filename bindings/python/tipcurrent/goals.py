"""Goals: what a room wants to reach in tips, by amount or by number, from the moment the goal is made.

>>> goal = engine.goals.create("gaming", "a new microphone", target_amount="500.00")
>>> goal.status.name, goal.target_amount
('OPEN', Decimal('500.00'))
>>> engine.goals.close(goal.id).status.name
'CLOSED'
"""

from __future__ import annotations

import ctypes
import enum
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Iterator, List, Optional

from . import activities, pages
from ._core import Core
from ._library import check, lib
from ._structs import SHOW_FN, GoalNew, sized
from ._structs import Goal as GoalStruct
from ._values import Amount, amount_in, amount_out, int64_in, optional_time_out, text_in, text_out, time_in, time_out
from .events import GoalReached
from .pages import Page

TYPE = "goal.reached"


class GoalStatus(enum.IntEnum):
    """Where a goal stands."""

    OPEN = 1
    #: And still counting.
    REACHED = 2
    #: Past its deadline, not reached.
    EXPIRED = 3
    #: By :meth:`Goals.close`; ``reached_at`` tells whether it was reached before.
    CLOSED = 4


@dataclass(frozen=True)
class Goal:
    """A goal at one moment."""

    id: int
    room: str
    title: str
    #: Either this, exact,
    target_amount: Optional[Decimal]
    #: or this many tips.
    target_count: Optional[int]
    #: ISO 4217; None: the default one, or, of a goal that counts tips, all.
    currency: Optional[str]
    #: Only tips for this one count; None: all.
    recipient: Optional[str]
    created_at: datetime
    deadline: Optional[datetime]
    reached_at: Optional[datetime]
    closed_at: Optional[datetime]
    status: GoalStatus
    #: How many tips count, at most some 0.3 s old. None: not known now, the sums are being built anew.
    progress_count: Optional[int]
    #: Their sum, of a goal with a target amount.
    progress_amount: Optional[Decimal]
    #: True in the answer to a create whose idempotency key was known.
    replayed: bool = field(default=False, compare=False)


class Goals:
    """``engine.goals``. Every method may be called from every thread; those that change something not inside callbacks."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def create(
        self, room: str, title: str, *, target_amount: Optional[Amount] = None, target_count: Optional[int] = None, currency: Optional[str] = None,
        recipient: Optional[str] = None, deadline: Optional[datetime] = None, idempotency_key: Optional[str] = None,
    ) -> Goal:
        """Makes a goal: tips of the room that are committed from now on count for it.

        room: 1 to 255 characters, title: 1 to 200, not blank. One of target_amount (as amounts of tips) and target_count (1 and up). recipient: only tips for this one.
        deadline: an aware datetime in the future. Goals have idempotency keys of their own.
        Blocks for a durable commit. Raises InvalidArgument, KeyMismatch, LimitExceeded (100 open goals a room, 100,000 in all), Busy, StorageFailed, OutcomeUnknown, Closed.
        """
        new = sized(
            GoalNew, room_id=text_in("roomId", room), title=text_in("title", title), target_amount=0 if target_amount is None else amount_in(target_amount),
            target_count=target_count or 0, currency=text_in("currency", currency), recipient_id=text_in("recipientId", recipient),
            deadline_us=time_in("deadline", deadline) if deadline else 0, idempotency_key=text_in("Idempotency-Key", idempotency_key),
        )
        shown, replayed = _Shown(), ctypes.c_int32()
        with self._core as engine:
            check(lib.tc_goal_create(engine, new, shown.fn, None, ctypes.byref(replayed)))
        return shown.goals(replayed.value == 1)[0]

    def close(self, id: int) -> Goal:
        """Nothing counts for it from here on; of one that is closed already nothing changes. Blocks and raises as create, and NotFound."""
        shown = _Shown()
        with self._core as engine:
            check(lib.tc_goal_close(engine, int64_in("id", id), shown.fn, None))
        return shown.goals()[0]

    def get(self, id: int) -> Goal:
        """The goal with this id. Blocks for database reads. Raises NotFound, Busy, StorageFailed, Closed."""
        shown = _Shown()
        with self._core as engine:
            check(lib.tc_goal_get(engine, int64_in("id", id), shown.fn, None))
        return shown.goals()[0]

    def find(self, room: str) -> List[Goal]:
        """All goals of the room, by id. As get."""
        shown = _Shown()
        with self._core as engine:
            check(lib.tc_goal_list(engine, text_in("roomId", room), shown.fn, None))
        return shown.goals()

    def reached_page(self, *, room: Optional[str] = None, goal_id: Optional[int] = None, after: Optional[str] = None, page: int = 0, size: int = 20) -> Page[GoalReached]:
        """One page of the events that said a goal is reached, newest first, as :meth:`Tips.page`."""
        return activities.read(self._core, TYPE, room, None, None if goal_id is None else str(goal_id), after, page, size)

    def reached(self, *, room: Optional[str] = None, goal_id: Optional[int] = None, size: int = 100) -> Iterator[GoalReached]:
        """All of these events, newest first, as :meth:`Tips.find`."""
        return pages.walk(lambda after: self.reached_page(room=room, goal_id=goal_id, after=after, size=size))


class _Shown:
    """Collects what the library shows, during the call."""

    def __init__(self) -> None:
        self._found: List[Any] = []
        self.fn = SHOW_FN(self._show)

    def _show(self, pointer: Any, _: Any) -> None:
        row = GoalStruct.from_address(pointer)
        by_amount = row.target_amount != 0
        self._found.append({
            "id": row.id, "room": row.room_id.decode(), "title": row.title.decode(), "target_amount": amount_out(row.target_amount) if by_amount else None,
            "target_count": None if by_amount else row.target_count, "currency": text_out(row.currency), "recipient": text_out(row.recipient_id),
            "created_at": time_out(row.created_at_us), "deadline": optional_time_out(row.deadline_us), "reached_at": optional_time_out(row.reached_at_us),
            "closed_at": optional_time_out(row.closed_at_us), "status": GoalStatus(row.status),
            "progress_count": row.progress_count if row.has_progress else None,
            "progress_amount": amount_out(row.progress_amount) if row.has_progress and by_amount else None,
        })

    def goals(self, replayed: bool = False) -> List[Goal]:
        return [Goal(**each, replayed=replayed) for each in self._found]
