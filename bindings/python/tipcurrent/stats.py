"""Numbers over time: tips, sums, people and reactions of a room or of all rooms. At most about a second behind the last create, the running hour included.

>>> answer = engine.stats.periods(room="gaming", grain=tipcurrent.Grain.DAY, tz="Europe/Berlin")
>>> answer.rows, answer.total.amount
([], Decimal('0.00'))
"""

from __future__ import annotations

import ctypes
import enum
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Generic, Iterator, List, Optional, Tuple, TypeVar

from ._core import Core
from ._library import check, lib
from ._structs import StatsQuery, StatsRow, sized
from ._values import INT64_MAX, INT64_MIN, text_in, text_out, time_in, time_out

FROM, TO = 1, 2  # TC_STATS_FROM, TC_STATS_TO


class Grain(enum.IntEnum):
    """How long a period is. All but the quarter follow the wall clock of the query's zone."""

    HOUR = 0
    #: 15 minutes UTC.
    QUARTER = 1
    #: Of 23 to 25 hours where the clocks change.
    DAY = 2
    #: From its Monday, ISO 8601.
    WEEK = 3
    MONTH = 4


@dataclass(frozen=True)
class Totals:
    """What all rows of an answer make together."""

    tips: int
    #: Exact, however large, less what was taken back.
    amount: Decimal
    #: Rounded half up to hundredths; 0.00 without tips.
    average: Decimal
    reactions: int


@dataclass(frozen=True)
class Period(Totals):
    """One period with a tip of the currency or a reaction."""

    start: datetime
    end: datetime
    #: Different people, whatever their currency. None: not told for periods longer than an hour.
    unique_senders: Optional[int]
    unique_recipients: Optional[int]
    unique_reactors: Optional[int]


@dataclass(frozen=True)
class EmojiCount:
    """How often an emoji was used; all spellings of one are one."""

    emoji: str
    reactions: int


@dataclass(frozen=True)
class RecipientTotal:
    """What one recipient got."""

    recipient: str
    tips: int
    amount: Decimal
    average: Decimal


T = TypeVar("T")


@dataclass(frozen=True)
class Stats(Generic[T]):
    """An answer. Iterating over it gives the rows."""

    rows: List[T]
    total: Totals
    #: Other currencies of tips in the range; of :meth:`StatsReader.periods` only.
    other_currencies: Tuple[str, ...]

    def __iter__(self) -> Iterator[T]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


class StatsReader:
    """``engine.stats``. Every method may be called from every thread."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def periods(
        self, *, room: Optional[str] = None, grain: Grain = Grain.HOUR, tz: Optional[str] = None, currency: Optional[str] = None,
        start: Optional[datetime] = None, end: Optional[datetime] = None,
    ) -> Stats[Period]:
        """One row for each period that saw something, ascending.

        room: None is all rooms. tz: a name of the IANA database, None is UTC. currency: ISO 4217, None the engine's default; sums never mix them.
        start, end: the periods that begin at start or later and before end. Blocks for database reads; costs the quarters of an hour in the range that saw an event.
        Raises InvalidArgument, LimitExceeded (100,000 rows), Busy (statistics are being rebuilt), NotSupported, StorageFailed, Closed.
        """
        found: Stats[Period] = self._read(lib.tc_stats_periods, room, tz, currency, start, end, grain, _period)
        return found

    def emojis(
        self, *, room: Optional[str] = None, start: Optional[datetime] = None, end: Optional[datetime] = None
    ) -> Stats[EmojiCount]:
        """One row for each emoji, most reactions first, of the quarters of an hour that begin in the range. As periods."""
        found: Stats[EmojiCount] = self._read(lib.tc_stats_emojis, room, None, None, start, end, Grain.HOUR, lambda row: EmojiCount(row.name.decode(), row.reactions))
        return found

    def recipients(
        self, *, room: Optional[str] = None, currency: Optional[str] = None, start: Optional[datetime] = None, end: Optional[datetime] = None
    ) -> Stats[RecipientTotal]:
        """One row for each recipient of tips of the currency, largest sum first. As periods."""
        found: Stats[RecipientTotal] = self._read(lib.tc_stats_recipients, room, None, currency, start, end, Grain.HOUR, _recipient)
        return found

    def rebuild(self, *, start: Optional[datetime] = None, end: Optional[datetime] = None) -> int:
        """Computes the quarters of an hour of a range from the log once more and puts right what is kept; returns how many differed: 0 is the only good answer.

        Bounds: multiples of 15 minutes; None: none. Blocks for a walk over the log. Not inside a callback. Raises InvalidArgument, Busy, StorageFailed, Closed.
        """
        changed = ctypes.c_int64()
        begins = INT64_MIN if start is None else time_in("start", start)
        ends = INT64_MAX if end is None else time_in("end", end)
        with self._core as engine:
            check(lib.tc_stats_rebuild(engine, begins, ends, ctypes.byref(changed)))
        return changed.value

    def _read(
        self, function: Any, room: Optional[str], tz: Optional[str], currency: Optional[str], start: Optional[datetime], end: Optional[datetime], grain: Grain,
        make: Any,
    ) -> Any:
        query = sized(
            StatsQuery, room_id=text_in("roomId", room), tz=text_in("tz", tz), currency=text_in("currency", currency), grain=int(grain),
            from_us=time_in("start", start) if start else 0, to_us=time_in("end", end) if end else 0, flags=(FROM if start else 0) | (TO if end else 0),
        )
        stats = ctypes.c_void_p()
        with self._core as engine:
            check(function(engine, query, ctypes.byref(stats)))
        try:
            rows = []
            for i in range(lib.tc_stats_count(stats)):
                row = sized(StatsRow)
                check(lib.tc_stats_at(stats, i, row))
                rows.append(make(row))
            whole = sized(StatsRow)
            check(lib.tc_stats_total(stats, whole))
            others = (text_out(lib.tc_stats_currencies(stats)) or "").split(",")
        finally:
            lib.tc_stats_free(stats)
        return Stats(rows, Totals(**_totals(whole)), tuple(each for each in others if each))


def _totals(row: Any) -> Any:
    return {"tips": row.tips, "amount": Decimal(row.total_amount.decode()), "average": Decimal(row.average_amount.decode()), "reactions": row.reactions}


def _unique(count: int) -> Optional[int]:
    return None if count < 0 else count


def _period(row: Any) -> Period:
    return Period(
        **_totals(row), start=time_out(row.start_us), end=time_out(row.end_us), unique_senders=_unique(row.unique_senders),
        unique_recipients=_unique(row.unique_recipients), unique_reactors=_unique(row.unique_reactors),
    )


def _recipient(row: Any) -> RecipientTotal:
    totals = _totals(row)
    return RecipientTotal(row.name.decode(), totals["tips"], totals["amount"], totals["average"])
