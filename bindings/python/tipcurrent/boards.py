"""Leaderboards: who gave and who got most, in a room or in all rooms together.

>>> [standing.user for standing in engine.boards.top(room="gaming")]
[]
>>> engine.boards.rank("alice", room="gaming")
Traceback (most recent call last):
tipcurrent.errors.NotFound: ...
"""

from __future__ import annotations

import ctypes
import enum
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Iterator, List, Optional

from ._core import Core
from ._library import check, lib
from ._structs import BoardQuery, BoardRow, sized
from ._values import INT64_MAX, INT64_MIN, text_in, text_out, time_in, time_out
from .errors import InvalidArgument


class Role(enum.IntEnum):
    """Whose board it is."""

    SENDERS = 0
    RECIPIENTS = 1


class Window(enum.IntEnum):
    """What a board spans; all but the custom one are of UTC."""

    ALL = 0
    DAY = 1
    #: From its Monday, ISO 8601.
    WEEK = 2
    MONTH = 3
    #: start <= created_at < end, to the microsecond.
    CUSTOM = 4


@dataclass(frozen=True)
class Standing:
    """One row of a board."""

    #: 1: the best. Of :meth:`Boards.rank` 10001: beyond the 10,000th.
    rank: int
    user: str
    tips: int
    #: The sum of their tips, exact, less what was taken back.
    amount: Decimal


@dataclass(frozen=True)
class Board:
    """The best, the larger sum first, then who reached it earlier. Iterating over it gives the rows."""

    rows: List[Standing]
    #: What it spans: start <= created_at < end. None: all time.
    start: Optional[datetime]
    end: Optional[datetime]

    def __iter__(self) -> Iterator[Standing]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


class Boards:
    """``engine.boards``, a fraction of a second behind the last create. Every method may be called from every thread."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def top(
        self, *, room: Optional[str] = None, role: Role = Role.SENDERS, window: Window = Window.ALL, at: Optional[datetime] = None,
        start: Optional[datetime] = None, end: Optional[datetime] = None, currency: Optional[str] = None, limit: int = 10,
    ) -> Board:
        """The best of a board.

        room: None is all rooms together. at: any moment of the day, week or month (needed then). start, end: of a custom window. currency: ISO 4217, None the engine's default.
        limit: 1 to 100. Blocks for database reads; all time and a day cost one look, weeks and months merge their days, custom windows cost their events.
        Raises InvalidArgument, LimitExceeded (2,000,000 users of weeks and months, 5,000,000 events of a custom window), Busy, NotSupported, StorageFailed, Closed.
        """
        if limit < 1:
            raise InvalidArgument("limit: must be from 1 to 100")
        query = _query(room, role, window, at, start, end, currency, limit)
        board, begins, ends = ctypes.c_void_p(), ctypes.c_int64(), ctypes.c_int64()
        with self._core as engine:
            check(lib.tc_board_top(engine, query, ctypes.byref(board)))
        try:
            rows = []
            for i in range(lib.tc_board_count(board)):
                row = sized(BoardRow)
                check(lib.tc_board_at(board, i, row))
                rows.append(_standing(row, row.user_id.decode()))
            lib.tc_board_span(board, ctypes.byref(begins), ctypes.byref(ends))
        finally:
            lib.tc_board_free(board)
        return Board(rows, None if begins.value == INT64_MIN else time_out(begins.value), None if ends.value == INT64_MAX else time_out(ends.value))

    def rank(
        self, user: str, *, room: Optional[str] = None, role: Role = Role.SENDERS, window: Window = Window.ALL, at: Optional[datetime] = None,
        start: Optional[datetime] = None, end: Optional[datetime] = None, currency: Optional[str] = None,
    ) -> Standing:
        """Where a user stands. As top, and NotFound: not on the board. Beyond the best hundred it costs a walk over the board."""
        row = sized(BoardRow)
        query = _query(room, role, window, at, start, end, currency, 0)
        with self._core as engine:
            check(lib.tc_board_rank(engine, query, text_in("user", user), row))
        return _standing(row, user)


def _query(
    room: Optional[str], role: Role, window: Window, at: Optional[datetime], start: Optional[datetime], end: Optional[datetime], currency: Optional[str], limit: int
) -> BoardQuery:
    if window in (Window.DAY, Window.WEEK, Window.MONTH) and at is None:
        raise InvalidArgument("at: is required for a day, week or month")
    if window == Window.CUSTOM and (start is None or end is None):
        raise InvalidArgument("start and end: are required for a custom window")
    return sized(
        BoardQuery, room_id=text_in("roomId", room), currency=text_in("currency", currency), role=int(role), window=int(window),
        at_us=time_in("at", at) if at else 0, from_us=time_in("start", start) if start else 0, to_us=time_in("end", end) if end else 0, limit=limit,
    )


def _standing(row: Any, user: Optional[str]) -> Standing:
    return Standing(row.rank, user or "", row.tips, Decimal(text_out(row.total_amount) or "0"))
