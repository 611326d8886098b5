"""What else people do in a room: follow, subscribe, raid, and types that somebody has registered.

>>> engine.activities.create("raid", "gaming", "carol", count=250).count
250
>>> engine.event_types.create("hype_train", "many tips in a short time").name
'hype_train'
>>> engine.activities.create("hype_train", "gaming", "carol").type
'hype_train'
>>> [each.user for each in engine.activities.find("raid", room="gaming")]
['carol']
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Iterable, Iterator, List, NamedTuple, Optional, cast

from . import _creates as creates
from . import pages
from ._core import Core
from ._library import check, lib
from ._structs import SHOW_FN, ActivityNew, ActivityQuery, sized
from ._structs import EventType as EventTypeStruct
from ._submissions import Collector, Report, Results, Submission
from ._values import text_in, time_out
from .events import Activity
from .pages import Page

ANY_TYPE = 0  # of a batch: each line's "type" says what it is


class NewActivity(NamedTuple):
    """An activity to be made, for :meth:`Activities.submit_many` and :meth:`Activities.create_many`. The members are as in :meth:`Activities.create`."""

    type: str
    room: str
    user: str
    target: Optional[str] = None
    message: Optional[str] = None
    count: int = 0  # type: ignore[assignment]  # hides tuple.count, which nobody misses here
    metadata: Optional[str] = None
    idempotency_key: Optional[str] = None


def _line(activity: NewActivity) -> str:
    quote, member = creates.quote, creates.member
    type, room, user, target, message, count, metadata, key = activity
    return (
        f'{{"type":{quote(type)},"roomId":{quote(room)},"userId":{quote(user)},"count":{int(count)}'
        f'{member("targetId", target)}{member("message", message)}{member("metadata", metadata)}{member("idempotencyKey", key)}}}'
    )


def read(core: Core, type: str, room: Optional[str], user: Optional[str], target: Optional[str], after: Optional[str], page: int, size: int) -> Page[Any]:
    """A page of one type; refunds and reached goals are listed by theirs."""
    query = sized(
        ActivityQuery, type=text_in("type", type), room_id=text_in("roomId", room), user_id=text_in("userId", user), target_id=text_in("targetId", target),
        after=text_in("after", after), page=page, page_size=pages.size_in(size),
    )
    return pages.read(core, lib.tc_activity_list, query)


class Activities:
    """``engine.activities``. Every method may be called from every thread."""

    def __init__(self, core: Core, collector: Collector) -> None:
        self._core, self._collector = core, collector

    def create(
        self, type: str, room: str, user: str, *, target: Optional[str] = None, message: Optional[str] = None, count: int = 0,
        metadata: Optional[str] = None, idempotency_key: Optional[str] = None,
    ) -> Activity:
        """Creates an activity and returns it when it is on disk.

        type: "follow", "subscribe", "raid", or a registered name (``engine.event_types``). room, user: 1 to 255 characters, not blank. target: at most 255 characters.
        message: at most 1000. count: 0 to 9007199254740991, months of a subscription or viewers of a raid. All types share their idempotency keys.
        The rest, blocking and errors as :meth:`Tips.create`.
        """
        new = sized(
            ActivityNew, type=text_in("type", type), room_id=text_in("roomId", room), user_id=text_in("userId", user), target_id=text_in("targetId", target),
            message=text_in("message", message), count=count, metadata=text_in("metadata", metadata),
            idempotency_key=text_in("Idempotency-Key", idempotency_key),
        )
        return cast(Activity, creates.create(self._core, lib.tc_activity_create, new))

    def submit(
        self, type: str, room: str, user: str, *, target: Optional[str] = None, message: Optional[str] = None, count: int = 0,
        metadata: Optional[str] = None, idempotency_key: Optional[str] = None,
    ) -> Submission[Activity]:
        """The same without waiting, as :meth:`Tips.submit`."""
        return creates.submit(self._core, self._collector, ANY_TYPE, _line(NewActivity(type, room, user, target, message, count, metadata, idempotency_key)))

    def submit_many(self, activities: Iterable[NewActivity]) -> Submission[Results[Activity]]:
        """As :meth:`Tips.submit_many`; the types may differ."""
        return creates.submit_many(self._core, self._collector, ANY_TYPE, map(_line, activities))

    def create_many(self, activities: Iterable[NewActivity]) -> Report:
        """As :meth:`Tips.create_many`; the types may differ."""
        return creates.create_many(self._core, self._collector, ANY_TYPE, map(_line, activities))

    def get(self, type: str, id: int) -> Activity:
        """The activity of this type with this id, as :meth:`Tips.get`. All registered types count their ids together."""
        return cast(Activity, creates.get(self._core, lib.tc_activity_get, id, text_in("type", type)))

    def page(
        self, type: str, *, room: Optional[str] = None, user: Optional[str] = None, target: Optional[str] = None, after: Optional[str] = None,
        page: int = 0, size: int = 20,
    ) -> Page[Activity]:
        """One page of a type, newest first, as :meth:`Tips.page`. A type that nobody registered has none."""
        return read(self._core, type, room, user, target, after, page, size)

    def find(
        self, type: str, *, room: Optional[str] = None, user: Optional[str] = None, target: Optional[str] = None, size: int = 100
    ) -> Iterator[Activity]:
        """All of a type that match, newest first, as :meth:`Tips.find`."""
        return pages.walk(lambda after: self.page(type, room=room, user=user, target=target, after=after, size=size))


@dataclass(frozen=True)
class EventType:
    """A registered type of activity."""

    id: int
    name: str
    description: str
    created_at: datetime
    #: True in the answer to a create of a type that was there already.
    existed: bool = field(default=False, compare=False)


class EventTypes:
    """``engine.event_types``: the names that activities may have beside "follow", "subscribe" and "raid". From every thread but inside callbacks."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def create(self, name: str, description: Optional[str] = None) -> EventType:
        """Registers a name: [a-z][a-z0-9_]{0,49}, none that has another meaning. description: at most 500 characters.

        Blocks for a durable commit. Raises InvalidArgument, AlreadyExists (with another description), LimitExceeded (1,000 types), Busy, StorageFailed, OutcomeUnknown, Closed.
        """
        shown, existed = _Shown(), ctypes.c_int32()
        with self._core as engine:
            check(lib.tc_event_type_create(engine, text_in("name", name), text_in("description", description), shown.fn, None, ctypes.byref(existed)))
        return shown.all(existed.value == 1)[0]

    def delete(self, name: str) -> None:
        """No more activities of this type are taken; those that are there stay. Raises NotFound, and as create."""
        with self._core as engine:
            check(lib.tc_event_type_delete(engine, text_in("name", name)))

    def find(self) -> List[EventType]:
        """All of them, by name. Does not block."""
        shown = _Shown()
        with self._core as engine:
            check(lib.tc_event_type_list(engine, shown.fn, None))
        return shown.all()


class _Shown:
    """Collects what the library shows, during the call."""

    def __init__(self) -> None:
        self._found: List[EventType] = []
        self.fn = SHOW_FN(self._show)

    def _show(self, pointer: Any, _: Any) -> None:
        row = EventTypeStruct.from_address(pointer)
        self._found.append(EventType(row.id, row.name.decode(), row.description.decode(), time_out(row.created_at_us)))

    def all(self, existed: bool = False) -> List[EventType]:
        return [EventType(each.id, each.name, each.description, each.created_at, existed) for each in self._found]
