"""Tips: create one or many, get, list.

>>> tip = engine.tips.create("gaming", "alice", "bob", "100.00", message="Great play!", idempotency_key="550e8400")
>>> tip.amount, tip.replayed
(Decimal('100.00'), False)
>>> engine.tips.create("gaming", "alice", "bob", "100.00", message="Great play!", idempotency_key="550e8400").replayed
True
>>> engine.tips.create("gaming", "alice", "bob", "0.005")
Traceback (most recent call last):
tipcurrent.errors.InvalidArgument: amount: must have at most 2 decimals
>>> report = engine.tips.create_many(tipcurrent.NewTip("gaming", "carol", "bob", n) for n in range(1, 51))
>>> report.count, report.errors
(50, [])
>>> sum(tip.amount for tip in engine.tips.find(room="gaming", sender="carol"))
Decimal('1275.00')
>>> page = engine.tips.page(room="gaming", size=10)
>>> len(page), page.total, engine.tips.page(room="gaming", after=page.next, size=10).items[0].id
(10, 51, 41)
"""

from __future__ import annotations

import ctypes
from decimal import Decimal
from typing import Iterable, Iterator, NamedTuple, Optional, cast

from . import _creates as creates
from . import pages
from ._core import Core
from ._library import check, lib
from ._structs import TipNew, TipQuery, sized
from ._submissions import Collector, Report, Results, Submission
from ._values import Amount, amount_in, amount_out, amount_text, int64_in, text_in
from .events import Kind, Tip
from .pages import Page


class NewTip(NamedTuple):
    """A tip to be made, for :meth:`Tips.submit_many` and :meth:`Tips.create_many`. The members are as in :meth:`Tips.create`."""

    room: str
    sender: str
    recipient: str
    amount: Amount
    message: Optional[str] = None
    metadata: Optional[str] = None
    currency: Optional[str] = None
    idempotency_key: Optional[str] = None


def _line(tip: NewTip) -> str:
    quote = creates.quote
    room, sender, recipient, amount, message, metadata, currency, key = tip
    line = f'{{"roomId":{quote(room)},"senderId":{quote(sender)},"recipientId":{quote(recipient)},"amount":{quote(amount_text(amount))}'
    if message is not None:
        line += f',"message":{quote(message)}'
    if metadata is not None:
        line += f',"metadata":{quote(metadata)}'
    if currency is not None:
        line += f',"currency":{quote(currency)}'
    if key is not None:
        line += f',"idempotencyKey":{quote(key)}'
    return line + "}"


class Tips:
    """``engine.tips``. Every method may be called from every thread."""

    def __init__(self, core: Core, collector: Collector) -> None:
        self._core, self._collector = core, collector

    def create(
        self, room: str, sender: str, recipient: str, amount: Amount, *, message: Optional[str] = None, metadata: Optional[str] = None,
        currency: Optional[str] = None, idempotency_key: Optional[str] = None,
    ) -> Tip:
        """Creates a tip and returns it when it is on disk: it survives a kill and a power cut, and nobody has seen it before.

        room, sender, recipient: 1 to 255 characters, not blank. amount: a Decimal, int or decimal text, 0.01 to 92233720368547758.07, at most two decimals; never a float.
        message: at most 1000 characters. metadata: opaque text of at most 65536 bytes. currency: an ISO 4217 code; None is the engine's default.
        idempotency_key: 1 to 255 characters. The same key with the same request gives the first event, ``replayed``; with another request :class:`KeyMismatch`.

        Blocks up to the engine's create_deadline_ms. Raises InvalidArgument (names the field), KeyMismatch, Busy, Timeout, Closed, StorageFailed, OutOfMemory: nothing was
        stored; OutcomeUnknown: try again with the same key.
        """
        new = sized(
            TipNew, room_id=text_in("roomId", room), sender_id=text_in("senderId", sender), recipient_id=text_in("recipientId", recipient),
            amount=amount_in(amount), message=text_in("message", message), metadata=text_in("metadata", metadata), currency=text_in("currency", currency),
            idempotency_key=text_in("Idempotency-Key", idempotency_key),
        )
        return cast(Tip, creates.create(self._core, lib.tc_tip_create, new))

    def submit(
        self, room: str, sender: str, recipient: str, amount: Amount, *, message: Optional[str] = None, metadata: Optional[str] = None,
        currency: Optional[str] = None, idempotency_key: Optional[str] = None,
    ) -> Submission[Tip]:
        """The same without waiting: ``submit(...).result()`` in a thread, ``await submit(...)`` under asyncio gives the tip or raises what create would."""
        line = _line(NewTip(room, sender, recipient, amount, message, metadata, currency, idempotency_key))
        return creates.submit(self._core, self._collector, Kind.TIP, line)

    def submit_many(self, tips: Iterable[NewTip]) -> Submission[Results[Tip]]:
        """Submits up to 100,000 tips at once (LimitExceeded beyond). Each stands for itself: one that is refused stops none of the others."""
        return creates.submit_many(self._core, self._collector, Kind.TIP, map(_line, tips))

    def create_many(self, tips: Iterable[NewTip]) -> Report:
        """Creates any number of tips, in memory for some thousands, and returns when all have been answered. Each stands for itself; the report names those that failed."""
        return creates.create_many(self._core, self._collector, Kind.TIP, map(_line, tips))

    def get(self, id: int) -> Tip:
        """The tip with this id. Reads its own writes. Blocks for a database read. Raises NotFound, Busy, StorageFailed, Closed."""
        return cast(Tip, creates.get(self._core, lib.tc_tip_get, id))

    def refunded(self, id: int) -> Decimal:
        """How much of this tip has been taken back: 0.00 to its amount. Raises as get."""
        event, amount = ctypes.c_void_p(), ctypes.c_int64()
        with self._core as engine:
            check(lib.tc_tip_get(engine, int64_in("id", id), ctypes.byref(event)))
            try:
                check(lib.tc_tip_refunded(engine, event, ctypes.byref(amount)))
            finally:
                lib.tc_event_unref(event)
        return amount_out(amount.value)

    def page(
        self, *, room: Optional[str] = None, sender: Optional[str] = None, recipient: Optional[str] = None, currency: Optional[str] = None,
        after: Optional[str] = None, page: int = 0, size: int = 20,
    ) -> Page[Tip]:
        """One page of tips, newest first. Filters are exact and combine; None is any. Reads its own writes.

        size: 1 to 1000. Either page, from 0 on (page * size at most 1,000,000), or after: a Page's next, or "" for the first. Deep lists are cheaper by after.
        currency: the engine's own finds those that name none. Blocks for database reads. Raises InvalidArgument, Busy, StorageFailed, Closed.
        """
        query = sized(
            TipQuery, room_id=text_in("roomId", room), sender_id=text_in("senderId", sender), recipient_id=text_in("recipientId", recipient),
            currency=text_in("currency", currency), after=text_in("after", after), page=page, page_size=pages.size_in(size),
        )
        return pages.read(self._core, lib.tc_tip_list, query)

    def find(
        self, *, room: Optional[str] = None, sender: Optional[str] = None, recipient: Optional[str] = None, currency: Optional[str] = None, size: int = 100
    ) -> Iterator[Tip]:
        """All tips that match, newest first, read in pages of size as the iterator goes. What is created meanwhile does not come into it."""
        return pages.walk(lambda after: self.page(room=room, sender=sender, recipient=recipient, currency=currency, after=after, size=size))
