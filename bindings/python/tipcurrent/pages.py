"""Lists, newest first: a page at a time, or all of it by an iterator that follows the pages' cursors."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any, Callable, Generic, Iterator, List, Optional, TypeVar

from . import events
from ._core import Core
from ._library import check, lib
from ._values import text_out
from .errors import InvalidArgument

T = TypeVar("T")


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a list. Iterating over it gives its items."""

    items: List[T]
    #: How many there are in all, exact at the moment of the read.
    total: int
    #: The cursor of what comes after this page, for ``after``: valid for ever. None: this is the end.
    next: Optional[str]

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


def read(core: Core, function: Any, query: Any) -> Page[Any]:
    """One page by a tc_X_list."""
    page = ctypes.c_void_p()
    with core as engine:
        check(function(engine, query, ctypes.byref(page)))
    try:
        items = [events.decode(lib.tc_page_at(page, i)) for i in range(lib.tc_page_count(page))]
        return Page(items, lib.tc_page_total(page), text_out(lib.tc_page_next(page)))
    finally:
        lib.tc_page_free(page)


def walk(read_after: Callable[[str], Page[T]]) -> Iterator[T]:
    """Everything, page by page. What is created meanwhile is newer than what comes next, so nothing is seen twice or left out."""
    after: Optional[str] = ""
    while after is not None:
        page = read_after(after)
        yield from page.items
        after = page.next


def size_in(size: int) -> int:
    """The library reads 0 as its default; whoever asks for pages of nothing has made a mistake."""
    if not 1 <= size <= 1000:
        raise InvalidArgument("size: must be from 1 to 1000")
    return size
