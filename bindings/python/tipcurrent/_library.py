"""Finds libtipcurrent, makes sure that it is one this package knows, and declares its functions: `lib.tc_tip_create(...)`, `check(code)`."""

from __future__ import annotations

import ctypes
import os
from ctypes import POINTER, c_char_p, c_int, c_int32, c_int64, c_size_t, c_uint32, c_void_p
from types import SimpleNamespace
from typing import Any, Dict, Iterable, List, Tuple

from . import _structs as c
from .errors import LibraryError, error_of

ABI = 1
#: What the system's library may be called: the names under which this ABI was released.
SONAMES = ("libtipcurrent.so.1",)
#: Where a wheel carries its own.
BUNDLED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_lib", "libtipcurrent.so")

P, PP = c_void_p, POINTER(c_void_p)
I32P, I64P = POINTER(c_int32), POINTER(c_int64)

# Functions that may wait, read files, call back, or take a lock of the engine's: the GIL is free meanwhile. Name: (result, arguments).
WAITING: Dict[str, Tuple[Any, List[Any]]] = {
    "tc_open": (c_int, [PP, POINTER(c.Options)]),
    "tc_close": (c_int, [P]),
    "tc_shutdown": (None, [P]),
    "tc_engine_status": (c_int, [P, POINTER(c.Status)]),
    "tc_engine_poll": (c_int, [P, c_int32]),
    "tc_engine_tick": (c_int, [P, I32P]),
    "tc_batch_submit": (c_int, [P, POINTER(c.BatchOptions), c_char_p, c_size_t, PP]),
    "tc_batch_wait": (c_int, [P, c_int32]),
    "tc_tip_create": (c_int, [P, POINTER(c.TipNew), PP, I32P]),
    "tc_tip_get": (c_int, [P, c_int64, PP]),
    "tc_tip_list": (c_int, [P, POINTER(c.TipQuery), PP]),
    "tc_tip_refund": (c_int, [P, POINTER(c.RefundNew), PP, I32P]),
    "tc_tip_refunded": (c_int, [P, P, I64P]),
    "tc_reaction_create": (c_int, [P, POINTER(c.ReactionNew), PP, I32P]),
    "tc_reaction_get": (c_int, [P, c_int64, PP]),
    "tc_reaction_list": (c_int, [P, POINTER(c.ReactionQuery), PP]),
    "tc_activity_create": (c_int, [P, POINTER(c.ActivityNew), PP, I32P]),
    "tc_activity_get": (c_int, [P, c_char_p, c_int64, PP]),
    "tc_activity_list": (c_int, [P, POINTER(c.ActivityQuery), PP]),
    "tc_event_type_create": (c_int, [P, c_char_p, c_char_p, c.SHOW_FN, P, I32P]),
    "tc_event_type_delete": (c_int, [P, c_char_p]),
    "tc_event_type_list": (c_int, [P, c.SHOW_FN, P]),
    "tc_goal_create": (c_int, [P, POINTER(c.GoalNew), c.SHOW_FN, P, I32P]),
    "tc_goal_close": (c_int, [P, c_int64, c.SHOW_FN, P]),
    "tc_goal_get": (c_int, [P, c_int64, c.SHOW_FN, P]),
    "tc_goal_list": (c_int, [P, c_char_p, c.SHOW_FN, P]),
    "tc_stats_periods": (c_int, [P, POINTER(c.StatsQuery), PP]),
    "tc_stats_emojis": (c_int, [P, POINTER(c.StatsQuery), PP]),
    "tc_stats_recipients": (c_int, [P, POINTER(c.StatsQuery), PP]),
    "tc_stats_rebuild": (c_int, [P, c_int64, c_int64, I64P]),
    "tc_board_top": (c_int, [P, POINTER(c.BoardQuery), PP]),
    "tc_board_rank": (c_int, [P, POINTER(c.BoardQuery), c_char_p, POINTER(c.BoardRow)]),
    "tc_subscribe": (c_int, [P, POINTER(c.SubOptions), c.EVENT_FN, P, PP]),
    "tc_sub_next": (c_int, [P, c_int32, PP]),
    "tc_sub_close": (None, [P]),
    "tc_webhook_create": (c_int, [P, POINTER(c.WebhookNew), PP, I32P]),
    "tc_webhook_get": (c_int, [P, c_int64, PP]),
    "tc_webhook_update": (c_int, [P, c_int64, POINTER(c.WebhookChange), PP]),
    "tc_webhook_delete": (c_int, [P, c_int64]),
    "tc_webhook_list": (c_int, [P, c_int32, c_char_p, c.SHOW_FN, P]),
    "tc_webhook_test": (c_int, [P, c_int64]),
    "tc_webhook_resend": (c_int, [P, c_int64, c_int64]),
    "tc_webhook_replay": (c_int, [P, c_int64, c_int64, c_int64, I64P]),
    "tc_webhook_replay_time": (c_int, [P, c_int64, c_int64, c_int64, I64P]),
    "tc_webhook_deliveries": (c_int, [P, c_int64, c_int64, c_int32, c.SHOW_FN, P, I64P]),
}

# Functions that return at once: called with the GIL held, so that a thread which only looks at an event does not have to queue for the GIL again each time. None of them takes a lock
# under which the engine could call back (its log, an injected clock): that thread would hold the lock and wait for the GIL, and this one the other way round.
AT_ONCE: Dict[str, Tuple[Any, List[Any]]] = {
    "tc_version": (c_char_p, []),
    "tc_strerror": (c_char_p, [c_int]),
    "tc_last_error": (c_char_p, []),
    "tc_amount_parse": (c_int, [c_char_p, c_size_t, I64P]),
    "tc_engine_currency": (c_char_p, [P]),
    "tc_engine_fd": (c_int, [P]),
    "tc_event_kind": (c_uint32, [P]),
    "tc_event_seq": (c_int64, [P]),
    "tc_event_int": (c_int, [P, c_uint32, I64P]),
    "tc_event_json": (c_void_p, [P, POINTER(c_size_t)]),
    "tc_event_unref": (None, [P]),
    "tc_page_count": (c_size_t, [P]),
    "tc_page_at": (c_void_p, [P, c_size_t]),
    "tc_page_total": (c_int64, [P]),
    "tc_page_next": (c_char_p, [P]),
    "tc_page_free": (None, [P]),
    "tc_batch_count": (c_size_t, [P]),
    "tc_batch_failed": (c_size_t, [P]),
    "tc_batch_at": (POINTER(c.Result), [P, c_size_t]),
    "tc_batch_free": (None, [P]),
    "tc_stats_count": (c_size_t, [P]),
    "tc_stats_at": (c_int, [P, c_size_t, POINTER(c.StatsRow)]),
    "tc_stats_total": (c_int, [P, POINTER(c.StatsRow)]),
    "tc_stats_currencies": (c_char_p, [P]),
    "tc_stats_free": (None, [P]),
    "tc_board_count": (c_size_t, [P]),
    "tc_board_at": (c_int, [P, c_size_t, POINTER(c.BoardRow)]),
    "tc_board_span": (None, [P, I64P, I64P]),
    "tc_board_free": (None, [P]),
    "tc_sub_fd": (c_int, [P]),
    "tc_sub_seq": (c_int64, [P]),
    "tc_webhook_json": (c_void_p, [P, POINTER(c_size_t)]),
    "tc_webhook_unref": (None, [P]),
}


def candidates() -> List[str]:
    """Where the library is looked for: the wheel's own, then what TIPCURRENT_LIBRARY names, then the system's. The first that is there counts."""
    if os.path.exists(BUNDLED):
        return [BUNDLED]
    named = os.environ.get("TIPCURRENT_LIBRARY")
    return [named] if named else list(SONAMES)


def find() -> str:
    """The name under which the dynamic linker finds the library. Raises :class:`LibraryError`."""
    reasons = []
    for name in candidates():
        try:
            ctypes.CDLL(name)
            return name
        except OSError as reason:
            reasons.append(str(reason))
    raise LibraryError(
        "libtipcurrent cannot be loaded: " + "; ".join(reasons) + " (install the library, or name it in the environment variable TIPCURRENT_LIBRARY)"
    )


def check_abi(name: str, library: Any) -> None:
    """Raises :class:`LibraryError` if this library is of an ABI that this package does not know."""
    try:
        version = library.tc_abi_version
    except AttributeError:
        raise LibraryError(f"{name} has no tc_abi_version: it is not libtipcurrent, or one from before there was a Python binding") from None
    version.restype, version.argtypes = c_uint32, []
    if version() != ABI:
        raise LibraryError(f"{name} has ABI {version()}, this package knows ABI {ABI}: install the package of the library's release")


def members_of(library: Any) -> Dict[Tuple[str, str], Tuple[int, int]]:
    """The library's own table: (struct, member) to (offset, size), in bytes."""
    layout = library.tc_abi_layout
    layout.restype, layout.argtypes = POINTER(c.AbiMember), [POINTER(c_size_t)]
    count = c_size_t()
    rows = layout(ctypes.byref(count))
    return {(row.type.decode(), row.name.decode()): (row.offset_bytes, row.size_bytes) for row in rows[: count.value]}


def check_layout(name: str, theirs: Dict[Tuple[str, str], Tuple[int, int]], structs: Iterable[Any]) -> None:
    """Raises :class:`LibraryError` if a member lies elsewhere in the library than here. A struct that has grown at its end is fine."""
    for struct in structs:
        for member in [field[0] for field in struct._fields_]:
            ours = getattr(struct, member)
            place = theirs.get((struct.c_name, member))
            if place != (ours.offset, ours.size):
                there = f"{place[1]} bytes at {place[0]}" if place else "not there"
                raise LibraryError(f"{name}: {struct.c_name}.{member} is {there}, this package expects {ours.size} bytes at {ours.offset}: package and library do not fit")


def declare(name: str) -> SimpleNamespace:
    """The library's functions with their types."""
    functions = SimpleNamespace(path=name)
    for table, library in ((WAITING, ctypes.CDLL(name)), (AT_ONCE, ctypes.PyDLL(name))):
        for function, (result, arguments) in table.items():
            try:
                found = getattr(library, function)
            except AttributeError:
                raise LibraryError(f"{name} has no function {function}: package and library do not fit") from None
            found.restype, found.argtypes = result, arguments
            setattr(functions, function, found)
    return functions


def load() -> SimpleNamespace:
    name = find()
    library = ctypes.CDLL(name)
    check_abi(name, library)
    check_layout(name, members_of(library), c.ALL)
    return declare(name)


lib = load()


def check(code: int) -> None:
    """Raises the error behind a code, with the detail of this thread's call that gave it. That must have been its last one."""
    if code:
        raise failure(code)


def failure(code: int) -> Exception:
    return error_of(code, (lib.tc_last_error() or lib.tc_strerror(code)).decode("utf-8", "replace"))
