"""Taking tips back, wholly or in part, once or several times up to their amount. A refund is an event of its own: the tip never changes.

>>> tip = engine.tips.create("gaming", "alice", "bob", "100.00")
>>> engine.refunds.create(tip.id, "40.00", reason="sent twice").amount
Decimal('40.00')
>>> engine.tips.refunded(tip.id)
Decimal('40.00')
>>> engine.refunds.create(tip.id).amount  # whatever is left
Decimal('60.00')
"""

from __future__ import annotations

from typing import Iterable, Iterator, NamedTuple, Optional, cast

from . import _creates as creates
from . import activities, pages
from ._core import Core
from ._library import lib
from ._structs import RefundNew, sized
from ._submissions import Collector, Report, Results, Submission
from ._values import Amount, amount_in, amount_text, text_in
from .events import Kind, Refund
from .pages import Page

TYPE = "tip.refunded"


class NewRefund(NamedTuple):
    """A refund to be made, for :meth:`Refunds.submit_many` and :meth:`Refunds.create_many`. The members are as in :meth:`Refunds.create`."""

    tip_id: int
    amount: Optional[Amount] = None
    reason: Optional[str] = None
    idempotency_key: Optional[str] = None


def _line(refund: NewRefund) -> str:
    member = creates.member
    tip_id, amount, reason, key = refund
    text = None if amount is None else amount_text(amount)
    return f'{{"tipId":{int(tip_id)}{member("amount", text)}{member("reason", reason)}{member("idempotencyKey", key)}}}'


def _target(tip_id: Optional[int]) -> Optional[str]:
    return None if tip_id is None else str(tip_id)


class Refunds:
    """``engine.refunds``. Every method may be called from every thread."""

    def __init__(self, core: Core, collector: Collector) -> None:
        self._core, self._collector = core, collector

    def create(self, tip_id: int, amount: Optional[Amount] = None, *, reason: Optional[str] = None, idempotency_key: Optional[str] = None) -> Refund:
        """Takes a tip back and returns the refund when it is on disk.

        amount: in the tip's currency; None: whatever is left. reason: at most 1000 characters. All refunds share their idempotency keys.
        The rest, blocking and errors as :meth:`Tips.create`. Besides: NotFound (no such tip), LimitExceeded (more than is left, or the tip has 1,000 refunds), Conflict (nothing is left).
        """
        new = sized(
            RefundNew, tip_id=tip_id, amount=0 if amount is None else amount_in(amount), reason=text_in("reason", reason),
            idempotency_key=text_in("Idempotency-Key", idempotency_key),
        )
        return cast(Refund, creates.create(self._core, lib.tc_tip_refund, new))

    def submit(
        self, tip_id: int, amount: Optional[Amount] = None, *, reason: Optional[str] = None, idempotency_key: Optional[str] = None
    ) -> Submission[Refund]:
        """The same as a :class:`Submission`, as :meth:`Tips.submit`; but blocks for a database read."""
        return creates.submit(self._core, self._collector, Kind.REFUND, _line(NewRefund(tip_id, amount, reason, idempotency_key)))

    def submit_many(self, refunds: Iterable[NewRefund]) -> Submission[Results[Refund]]:
        """As :meth:`Tips.submit_many`; but blocks for a database read each."""
        return creates.submit_many(self._core, self._collector, Kind.REFUND, map(_line, refunds))

    def create_many(self, refunds: Iterable[NewRefund]) -> Report:
        """As :meth:`Tips.create_many`."""
        return creates.create_many(self._core, self._collector, Kind.REFUND, map(_line, refunds))

    def get(self, id: int) -> Refund:
        """The refund with this id, as :meth:`Tips.get`. What was taken back of a tip: :meth:`Tips.refunded`."""
        return cast(Refund, creates.get(self._core, lib.tc_activity_get, id, TYPE.encode()))

    def page(
        self, *, room: Optional[str] = None, sender: Optional[str] = None, tip_id: Optional[int] = None, after: Optional[str] = None, page: int = 0,
        size: int = 20,
    ) -> Page[Refund]:
        """One page of refunds, newest first, as :meth:`Tips.page`. sender: the tip's."""
        return activities.read(self._core, TYPE, room, sender, _target(tip_id), after, page, size)

    def find(self, *, room: Optional[str] = None, sender: Optional[str] = None, tip_id: Optional[int] = None, size: int = 100) -> Iterator[Refund]:
        """All refunds that match, newest first, as :meth:`Tips.find`."""
        return pages.walk(lambda after: self.page(room=room, sender=sender, tip_id=tip_id, after=after, size=size))
