"""What all creates share: the synchronous call, and the lines of a batch."""

from __future__ import annotations

import ctypes
import json.encoder
from typing import Any, Callable, Iterable, Iterator, List, Optional, Tuple

from . import events
from ._core import Core
from ._library import check
from ._submissions import Collector, Report, Results, Submission
from ._values import int64_in

#: A JSON string of a str, ASCII only: written in C by the json module, and TypeError for what is no str.
quote: Callable[[str], str] = getattr(json.encoder, "encode_basestring_ascii")

#: How many lines create_many sends at once, and how many such batches it keeps in flight.
CHUNK, IN_FLIGHT = 1000, 8


def create(core: Core, function: Any, new: Any) -> Any:
    """A synchronous create: the event."""
    event, replayed = ctypes.c_void_p(), ctypes.c_int32()
    with core as engine:
        check(function(engine, new, ctypes.byref(event), ctypes.byref(replayed)))
    return events.take(event, replayed.value == 1)


def get(core: Core, function: Any, id: int, *type: Any) -> Any:
    """By the id, in a type where ids alone do not say which event is meant."""
    event = ctypes.c_void_p()
    with core as engine:
        check(function(engine, *type, int64_in("id", id), ctypes.byref(event)))
    return events.take(event)


def member(name: str, value: Optional[str]) -> str:
    """``,"name":"value"``, or nothing for None."""
    return "" if value is None else f',"{name}":{quote(value)}'


def submit(core: Core, collector: Collector, kind: int, line: str) -> "Submission[Any]":
    return collector.submit(core, kind, line, Results.only)


def submit_many(core: Core, collector: Collector, kind: int, lines: Iterable[str]) -> "Submission[Results[Any]]":
    text = "\n".join(lines)
    if not text:
        done: "Submission[Results[Any]]" = Submission()
        done.set_result(Results(None))
        return done
    return collector.submit(core, kind, text, lambda results: results)


def chunks(lines: Iterable[str]) -> Iterator[List[str]]:
    chunk: List[str] = []
    for line in lines:
        chunk.append(line)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def create_many(core: Core, collector: Collector, kind: int, lines: Iterable[str]) -> Report:
    """Sends a chunk as soon as it is full, so that the writer commits while the next one is made."""
    flying: List["Submission[Results[Any]]"] = []
    errors: List[Tuple[int, Any]] = []
    count = 0

    def land() -> None:
        nonlocal count
        results = flying.pop(0).result()
        errors.extend((count + i, error) for i, error in results.errors())
        count += len(results)

    for chunk in chunks(lines):
        flying.append(submit_many(core, collector, kind, chunk))
        if len(flying) == IN_FLIGHT:
            land()
    while flying:
        land()
    return Report(count, errors)
