"""Reactions: an emoji in a room. Create one or many, get, list.

>>> fire = engine.reactions.create("gaming", "alice", "🔥", target="msg_123")
>>> engine.reactions.page(room="gaming", emoji="🔥").total
1
"""

from __future__ import annotations

from typing import Iterable, Iterator, NamedTuple, Optional, cast

from . import _creates as creates
from . import pages
from ._core import Core
from ._library import lib
from ._structs import ReactionNew, ReactionQuery, sized
from ._submissions import Collector, Report, Results, Submission
from ._values import text_in
from .events import Kind, Reaction
from .pages import Page


class NewReaction(NamedTuple):
    """A reaction to be made, for :meth:`Reactions.submit_many` and :meth:`Reactions.create_many`. The members are as in :meth:`Reactions.create`."""

    room: str
    user: str
    emoji: str
    target: Optional[str] = None
    metadata: Optional[str] = None
    idempotency_key: Optional[str] = None


def _line(reaction: NewReaction) -> str:
    quote, member = creates.quote, creates.member
    room, user, emoji, target, metadata, key = reaction
    return (
        f'{{"roomId":{quote(room)},"userId":{quote(user)},"emoji":{quote(emoji)}'
        f'{member("targetId", target)}{member("metadata", metadata)}{member("idempotencyKey", key)}}}'
    )


class Reactions:
    """``engine.reactions``. Every method may be called from every thread."""

    def __init__(self, core: Core, collector: Collector) -> None:
        self._core, self._collector = core, collector

    def create(
        self, room: str, user: str, emoji: str, *, target: Optional[str] = None, metadata: Optional[str] = None, idempotency_key: Optional[str] = None
    ) -> Reaction:
        """Creates a reaction and returns it when it is on disk.

        room, user: 1 to 255 characters, not blank. emoji: any text of 1 to 100 characters, not blank. target: at most 255 characters, a message for example.
        The rest, blocking and errors as :meth:`Tips.create`.
        """
        new = sized(
            ReactionNew, room_id=text_in("roomId", room), user_id=text_in("userId", user), emoji=text_in("emoji", emoji), target_id=text_in("targetId", target),
            metadata=text_in("metadata", metadata), idempotency_key=text_in("Idempotency-Key", idempotency_key),
        )
        return cast(Reaction, creates.create(self._core, lib.tc_reaction_create, new))

    def submit(
        self, room: str, user: str, emoji: str, *, target: Optional[str] = None, metadata: Optional[str] = None, idempotency_key: Optional[str] = None
    ) -> Submission[Reaction]:
        """The same without waiting, as :meth:`Tips.submit`."""
        return creates.submit(self._core, self._collector, Kind.REACTION, _line(NewReaction(room, user, emoji, target, metadata, idempotency_key)))

    def submit_many(self, reactions: Iterable[NewReaction]) -> Submission[Results[Reaction]]:
        """As :meth:`Tips.submit_many`."""
        return creates.submit_many(self._core, self._collector, Kind.REACTION, map(_line, reactions))

    def create_many(self, reactions: Iterable[NewReaction]) -> Report:
        """As :meth:`Tips.create_many`."""
        return creates.create_many(self._core, self._collector, Kind.REACTION, map(_line, reactions))

    def get(self, id: int) -> Reaction:
        """The reaction with this id, as :meth:`Tips.get`."""
        return cast(Reaction, creates.get(self._core, lib.tc_reaction_get, id))

    def page(
        self, *, room: Optional[str] = None, user: Optional[str] = None, emoji: Optional[str] = None, target: Optional[str] = None,
        after: Optional[str] = None, page: int = 0, size: int = 20,
    ) -> Page[Reaction]:
        """One page of reactions, newest first, as :meth:`Tips.page`. emoji: all spellings of one emoji are one; text that is no emoji is compared as it is."""
        query = sized(
            ReactionQuery, room_id=text_in("roomId", room), user_id=text_in("userId", user), emoji=text_in("emoji", emoji),
            target_id=text_in("targetId", target), after=text_in("after", after), page=page, page_size=pages.size_in(size),
        )
        return pages.read(self._core, lib.tc_reaction_list, query)

    def find(
        self, *, room: Optional[str] = None, user: Optional[str] = None, emoji: Optional[str] = None, target: Optional[str] = None, size: int = 100
    ) -> Iterator[Reaction]:
        """All reactions that match, newest first, as :meth:`Tips.find`."""
        return pages.walk(lambda after: self.page(room=room, user=user, emoji=emoji, target=target, after=after, size=size))
