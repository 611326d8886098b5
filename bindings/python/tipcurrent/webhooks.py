"""Webhooks: HTTP POSTs of events to other systems, at least once, signed, retried.

>>> hook = engine.webhooks.create("https://example.org/tips", ["tip.created", "tip.refunded"], "a secret", room="gaming")
>>> hook.enabled, hook.events
(True, ('tip.created', 'tip.refunded'))
>>> engine.webhooks.update(hook.id, enabled=False).enabled
False
"""

from __future__ import annotations

import ctypes
import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Iterable, Iterator, List, Optional, Tuple, Union

from ._core import Core
from ._library import check, lib
from ._structs import SHOW_FN, WebhookChange, WebhookDelivery, WebhookNew, sized
from ._structs import WebhookOptions as OptionsStruct
from ._values import bytes_at, int64_in, iso_time, text_in, time_in, time_out
from .errors import InvalidArgument
from .pages import Page

ORDERED = 1  # TC_WEBHOOK_ORDERED
EPOCH_TIME = 1  # TC_WEBHOOK_EPOCH_TIME


@dataclass(frozen=True)
class WebhookOptions:
    """How webhooks behave, for :class:`Engine`. A number that is 0 is the default, said behind it."""

    #: CIDRs of non-public networks that receivers may be in, "127.0.0.0/8,::1/128"; None: none.
    allow_receivers: Optional[str] = None
    #: Pauses after a failed attempt, "10s,60s" (the default: three attempts).
    retry_schedule: Optional[str] = None
    #: 32 bytes as 64 hex digits or base64: secrets are encrypted at rest; None: they are kept as they are.
    secret_key: Optional[str] = field(default=None, repr=False)
    #: Requests at a time; 64.
    max_in_flight: int = 0
    #: Of those, for one webhook; 8.
    max_per_endpoint: int = 0
    #: 5,000.
    connect_timeout_ms: int = 0
    #: 10,000.
    total_timeout_ms: int = 0
    #: A webhook that has only failed for so long is disabled; 432,000 (five days).
    disable_after_s: int = 0
    #: How long attempts are kept; 30.
    log_days: int = 0
    #: And how many; 1,000,000.
    log_rows: int = 0
    #: createdAt in bodies as decimal seconds instead of ISO text.
    epoch_time: bool = False

    def _struct(self) -> OptionsStruct:
        return sized(
            OptionsStruct, allow_receivers=text_in("allow_receivers", self.allow_receivers), retry_schedule=text_in("retry_schedule", self.retry_schedule),
            secret_key=text_in("secret_key", self.secret_key), max_in_flight=self.max_in_flight, max_per_endpoint=self.max_per_endpoint,
            connect_timeout_ms=self.connect_timeout_ms, total_timeout_ms=self.total_timeout_ms, disable_after_s=self.disable_after_s, log_days=self.log_days,
            log_rows=self.log_rows, flags=EPOCH_TIME if self.epoch_time else 0,
        )


@dataclass(frozen=True)
class Webhook:
    """A webhook at one moment. Its secret is in nothing that comes out."""

    id: int
    #: None: events of all rooms.
    room: Optional[str]
    url: str
    #: "tip.created", "reaction.created", "*", ...
    events: Tuple[str, ...]
    description: str
    enabled: bool
    ordered: bool
    created_at: datetime
    updated_at: datetime
    #: True in the answer to a create whose idempotency key was known.
    replayed: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class Delivery:
    """One attempt to deliver an event."""

    id: int
    webhook_id: int
    #: Of the event; 0 for a test.
    seq: int
    created_at: datetime
    duration_ms: int
    #: 1, 2, ...
    attempt: int
    #: The HTTP status; None: no answer.
    status: Optional[int]
    success: bool
    #: The event's name.
    event: Optional[str]
    #: The beginning of the answer's body.
    response: Optional[str]
    error: Optional[str]


class Webhooks:
    """``engine.webhooks``. Every method may be called from every thread, but those that change something not inside callbacks: they block for a durable commit.

    They raise InvalidArgument (names the field), NotFound, LimitExceeded (10,000 webhooks), Busy, StorageFailed, OutcomeUnknown, Closed.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    def create(
        self, url: str, events: Union[str, Iterable[str]], secret: str, *, room: Optional[str] = None, description: Optional[str] = None, ordered: bool = False,
        idempotency_key: Optional[str] = None,
    ) -> Webhook:
        """Sends these events to url from now on.

        url: http or https, at most 2,048 characters. events: names, or one text of names with commas; at most 16, "*" is all. secret: 1 to 255 characters; signs what is sent.
        room: None is all rooms. description: at most 500 characters. ordered: strictly by seq within each room; a failure holds that room back.
        idempotency_key: the same key with the same request gives the webhook as it is now; with another KeyMismatch.
        """
        new = sized(
            WebhookNew, room_id=text_in("roomId", room), url=text_in("url", url), events=text_in("events", _names(events)), secret=text_in("secret", secret),
            description=text_in("description", description), flags=ORDERED if ordered else 0, idempotency_key=text_in("Idempotency-Key", idempotency_key),
        )
        made, replayed = ctypes.c_void_p(), ctypes.c_int32()
        with self._core as engine:
            check(lib.tc_webhook_create(engine, new, ctypes.byref(made), ctypes.byref(replayed)))
        return _take(made, replayed.value == 1)

    def get(self, id: int) -> Webhook:
        """The webhook with this id."""
        made = ctypes.c_void_p()
        with self._core as engine:
            check(lib.tc_webhook_get(engine, int64_in("id", id), ctypes.byref(made)))
        return _take(made)

    def find(self, *, room: Optional[str] = None, all_rooms_only: bool = False) -> List[Webhook]:
        """By id: those of a room only, or those of all rooms only, or every one."""
        found: List[Webhook] = []
        show = SHOW_FN(lambda pointer, _: found.append(_decode(pointer)))
        with self._core as engine:
            check(lib.tc_webhook_list(engine, 1 if all_rooms_only else 0, text_in("roomId", room), show, None))
        return found

    def update(
        self, id: int, *, url: Optional[str] = None, events: Union[None, str, Iterable[str]] = None, secret: Optional[str] = None, room: Optional[str] = None,
        description: Optional[str] = None, ordered: Optional[bool] = None, enabled: Optional[bool] = None, overlap_s: int = 0,
    ) -> Webhook:
        """Changes what is not None. room: "" is all rooms. A new secret: the old one signs along for overlap_s (0: a day). A disabled one gets nothing, and what it was owed is forgotten."""
        change = sized(
            WebhookChange, room_id=text_in("roomId", room), url=text_in("url", url), events=None if events is None else text_in("events", _names(events)),
            secret=text_in("secret", secret), description=text_in("description", description), flags=ORDERED if ordered else 0,
            set_flags=0 if ordered is None else ORDERED, overlap_s=overlap_s, enabled=0 if enabled is None else 1 if enabled else -1,
        )
        made = ctypes.c_void_p()
        with self._core as engine:
            check(lib.tc_webhook_update(engine, int64_in("id", id), change, ctypes.byref(made)))
        return _take(made)

    def delete(self, id: int) -> None:
        """Nothing is sent to it any more; its delivery log goes with it."""
        with self._core as engine:
            check(lib.tc_webhook_delete(engine, int64_in("id", id)))

    def test(self, id: int) -> None:
        """Sends a test event soon, once, also to a disabled one; its outcome is in the delivery log."""
        with self._core as engine:
            check(lib.tc_webhook_test(engine, int64_in("id", id)))

    def resend(self, id: int, delivery_id: int) -> None:
        """Sends the event of a logged delivery again: a new attempt 1 with the same webhook-id."""
        with self._core as engine:
            check(lib.tc_webhook_resend(engine, int64_in("id", id), int64_in("delivery_id", delivery_id)))

    def replay(self, id: int, first_seq: int, last_seq: int) -> int:
        """Owes the webhook every matching event of these seqs again; returns how many. At most 100,000 (LimitExceeded beyond; nothing is owed then)."""
        count = ctypes.c_int64()
        with self._core as engine:
            check(lib.tc_webhook_replay(engine, int64_in("id", id), int64_in("first_seq", first_seq), int64_in("last_seq", last_seq), ctypes.byref(count)))
        return count.value

    def replay_time(self, id: int, start: datetime, end: datetime) -> int:
        """The same for the events created at start <= created_at < end."""
        count = ctypes.c_int64()
        with self._core as engine:
            check(lib.tc_webhook_replay_time(engine, int64_in("id", id), time_in("start", start), time_in("end", end), ctypes.byref(count)))
        return count.value

    def deliveries_page(self, id: int, *, page: int = 0, size: int = 20) -> Page[Delivery]:
        """A page of a webhook's attempts, newest first. size: 1 to 1,000; page * size at most 1,000,000. Its ``next`` is always None: these pages have numbers only."""
        if not 1 <= size <= 1000:
            raise InvalidArgument("size: must be from 1 to 1000")
        found: List[Delivery] = []
        total = ctypes.c_int64()
        show = SHOW_FN(lambda pointer, _: found.append(_delivery(WebhookDelivery.from_address(pointer))))
        with self._core as engine:
            check(lib.tc_webhook_deliveries(engine, int64_in("id", id), int64_in("page", page), size, show, None, ctypes.byref(total)))
        return Page(found, total.value, None)

    def deliveries(self, id: int, *, size: int = 100) -> Iterator[Delivery]:
        """All attempts, newest first. One that is made while this runs may move a row to the next page: it is passed on once."""
        last, number = None, 0
        while True:
            page = self.deliveries_page(id, page=number, size=size)
            for each in page:
                if last is None or each.id < last:
                    last = each.id
                    yield each
            number += 1
            if number * size >= page.total:
                return


def _names(events: Union[str, Iterable[str]]) -> str:
    return events if isinstance(events, str) else ",".join(events)


def _take(pointer: Any, replayed: bool = False) -> Webhook:
    try:
        return _decode(pointer, replayed)
    finally:
        lib.tc_webhook_unref(pointer)


def _decode(pointer: Any, replayed: bool = False) -> Webhook:
    length = ctypes.c_size_t()
    data = json.loads(bytes_at(lib.tc_webhook_json(pointer, ctypes.byref(length)), length))
    return Webhook(
        id=data["id"], room=data["roomId"], url=data["url"], events=tuple(data["events"]), description=data["description"], enabled=data["enabled"],
        ordered=data["ordered"], created_at=iso_time(data["createdAt"]), updated_at=iso_time(data["updatedAt"]), replayed=replayed,
    )


def _text(span: Any) -> Optional[str]:
    return None if span.ptr is None else ctypes.string_at(span.ptr, span.len).decode("utf-8", "replace")


def _delivery(row: Any) -> Delivery:
    return Delivery(
        id=row.id, webhook_id=row.webhook_id, seq=row.seq, created_at=time_out(row.created_at_us), duration_ms=row.duration_ms, attempt=row.attempt,
        status=row.status or None, success=row.success == 1, event=_text(row.event), response=_text(row.response), error=_text(row.error),
    )
