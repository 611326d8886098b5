"""Events: rows of the log as frozen dataclasses. They are plain values, safe in every thread, and outlive the engine."""

from __future__ import annotations

import ctypes
import enum
import json
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Callable, Dict, Optional

from ._library import check, lib
from ._values import bytes_at, time_out

CREATED_AT_US = 10  # TC_FIELD_CREATED_AT_US


class Kind(enum.IntEnum):
    """What an event is. The numbers are stored in the log and never change."""

    TIP = 1
    REACTION = 2
    WEBHOOK_DISABLED = 3
    REFUND = 4
    GOAL_REACHED = 5
    FOLLOW = 6
    SUBSCRIBE = 7
    RAID = 8
    CUSTOM = 9


@dataclass(frozen=True)
class Event:
    """What all events have. One of a kind that this package does not know (a newer library's) is just this; its :attr:`json` tells the rest."""

    #: Its number in its kind, as REST shows it: 1 and up.
    id: int
    #: Its number in the log, over all kinds, in commit order: 1 and up, without holes.
    seq: int
    #: A :class:`Kind`, or a number that this package does not know.
    kind: int
    #: None only for a webhook of all rooms that was disabled.
    room: Optional[str]
    #: Aware, UTC, to the microsecond.
    created_at: datetime
    #: The event as everybody else gets it, over REST, WebSocket and webhooks: the same text.
    json: str = field(repr=False)
    #: True in the answer to a create whose idempotency key was known: this is the first one's event. False wherever else an event comes from.
    replayed: bool = field(repr=False, compare=False)


@dataclass(frozen=True)
class Tip(Event):
    """Somebody gave somebody money. What was taken back of it: :meth:`Tips.refunded`."""

    sender: str
    recipient: str
    #: Exact, two decimals.
    amount: Decimal
    #: ISO 4217; None: the engine's default (:attr:`Engine.currency`).
    currency: Optional[str]
    message: Optional[str]
    #: Opaque text.
    metadata: Optional[str]


@dataclass(frozen=True)
class Reaction(Event):
    """An emoji in a room."""

    user: str
    emoji: str
    target: Optional[str]
    metadata: Optional[str]


@dataclass(frozen=True)
class Activity(Event):
    """A follow, subscription, raid, or event of a registered type."""

    type: str
    user: str
    target: Optional[str]
    message: Optional[str]
    #: Months of a subscription, viewers of a raid; 0 when not given.
    count: int
    metadata: Optional[str]


@dataclass(frozen=True)
class Refund(Event):
    """A tip taken back, wholly or in part."""

    tip_id: int
    sender: str
    recipient: str
    amount: Decimal
    currency: Optional[str]
    reason: Optional[str]


@dataclass(frozen=True)
class GoalReached(Event):
    """A goal has met its target: said once for ever."""

    goal_id: int
    title: str
    #: What it had then; None for a goal that counts tips.
    amount: Optional[Decimal]
    currency: Optional[str]
    #: How many tips; None for a goal with an amount.
    count: Optional[int]


@dataclass(frozen=True)
class WebhookDisabled(Event):
    """A webhook was disabled because of its receiver."""

    webhook_id: int
    reason: str


def _tip(data: Dict[str, Any], **common: Any) -> Tip:
    return Tip(
        **common, sender=data["senderId"], recipient=data["recipientId"], amount=data["amount"], currency=data.get("currency"), message=data["message"],
        metadata=data["metadata"],
    )


def _reaction(data: Dict[str, Any], **common: Any) -> Reaction:
    return Reaction(**common, user=data["userId"], emoji=data["emoji"], target=data["targetId"], metadata=data["metadata"])


def _activity(data: Dict[str, Any], **common: Any) -> Activity:
    return Activity(
        **common, type=data["type"], user=data["userId"], target=data["targetId"], message=data["message"], count=data["count"], metadata=data["metadata"]
    )


def _refund(data: Dict[str, Any], **common: Any) -> Refund:
    return Refund(
        **common, tip_id=data["tipId"], sender=data["senderId"], recipient=data["recipientId"], amount=data["amount"], currency=data.get("currency"),
        reason=data["reason"],
    )


def _goal_reached(data: Dict[str, Any], **common: Any) -> GoalReached:
    return GoalReached(
        **common, goal_id=data["goalId"], title=data["title"], amount=data["amount"], currency=data.get("currency"), count=data["count"]
    )


def _webhook_disabled(data: Dict[str, Any], **common: Any) -> WebhookDisabled:
    return WebhookDisabled(**common, webhook_id=int(data["webhookId"]), reason=data["reason"])


_MAKERS: Dict[int, Callable[..., Event]] = {
    Kind.TIP: _tip, Kind.REACTION: _reaction, Kind.WEBHOOK_DISABLED: _webhook_disabled, Kind.REFUND: _refund, Kind.GOAL_REACHED: _goal_reached,
    Kind.FOLLOW: _activity, Kind.SUBSCRIBE: _activity, Kind.RAID: _activity, Kind.CUSTOM: _activity,
}


def decode(pointer: Any, replayed: bool = False) -> Event:
    """The event behind a `const tc_event *`, which stays the caller's."""
    kind = lib.tc_event_kind(pointer)
    length, created_at_us = ctypes.c_size_t(), ctypes.c_int64()
    text = bytes_at(lib.tc_event_json(pointer, ctypes.byref(length)), length).decode()
    check(lib.tc_event_int(pointer, CREATED_AT_US, ctypes.byref(created_at_us)))
    # The numbers with a fraction are amounts: read from their text, never as a float.
    data = json.loads(text, parse_float=Decimal)
    common = {
        "id": data["id"], "seq": lib.tc_event_seq(pointer), "kind": Kind(kind) if kind in _MAKERS else kind, "room": data.get("roomId"),
        "created_at": time_out(created_at_us.value), "json": text, "replayed": replayed,
    }
    maker = _MAKERS.get(kind)
    return maker(data, **common) if maker else Event(**common)


def take(pointer: Any, replayed: bool = False) -> Event:
    """The same for a reference that is ours: it is dropped."""
    try:
        return decode(pointer, replayed)
    finally:
        lib.tc_event_unref(pointer)
