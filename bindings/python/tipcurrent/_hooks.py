"""What the library calls back for while an engine lives: its log lines, time and chance. One C function of each sort for all engines, never freed."""

from __future__ import annotations

import ctypes
import itertools
import logging
import os
import time
import traceback
from typing import Any, Callable, Dict, Optional, Protocol, Union

from ._structs import CLOCK_FN, LOG_FN, RANDOM_FN, Clock, Log, Random, sized

#: The library's levels as logging's.
LEVELS = {1: logging.ERROR, 2: logging.WARNING, 3: logging.INFO, 4: logging.DEBUG}
FAILED = -16  # TC_EUSER


class ClockLike(Protocol):
    """Where an engine gets its time from. Both methods are called from any thread, must not block and must not call the engine."""

    def wall_us(self) -> int:
        """Microseconds UTC; stamps events. May jump."""

    def monotonic_us(self) -> int:
        """Microseconds; never goes back; measures deadlines."""


LogLike = Union[logging.Logger, Callable[[int, str], None]]
RandomLike = Callable[[int], bytes]


class Hooks:
    """What one engine was given. `release` after tc_close."""

    def __init__(self, log: Optional[LogLike], clock: Optional[ClockLike], random: Optional[RandomLike]) -> None:
        self._log, self._clock, self._random = log, clock, random
        self._token = next(_tokens)
        _hooks[self._token] = self
        self.log = ctypes.pointer(sized(Log, write=_WRITE, userdata=self._token)) if log else None
        self.clock = ctypes.pointer(sized(Clock, wall_us=_WALL, monotonic_us=_MONOTONIC, userdata=self._token)) if clock else None
        self.random = ctypes.pointer(sized(Random, fill=_FILL, userdata=self._token)) if random else None

    def release(self) -> None:
        _hooks.pop(self._token, None)

    def write(self, level: int, line: str) -> None:
        if isinstance(self._log, logging.Logger):
            self._log.log(LEVELS.get(level, logging.INFO), "%s", line)
        elif self._log:
            self._log(level, line)


_hooks: Dict[int, Hooks] = {}
_tokens = itertools.count(1)


def _write(token: Any, level: int, line: bytes) -> None:
    hooks = _hooks.get(token)
    if hooks:
        hooks.write(level, line.decode("utf-8", "replace"))


# An exception cannot go through C. Time must be told all the same: the system's, and the exception is printed.


def _wall(token: Any) -> int:
    try:
        clock = _hooks[token]._clock
        return int(clock.wall_us()) if clock else time.time_ns() // 1000
    except Exception:
        traceback.print_exc()
        return time.time_ns() // 1000


def _monotonic(token: Any) -> int:
    try:
        clock = _hooks[token]._clock
        return int(clock.monotonic_us()) if clock else time.monotonic_ns() // 1000
    except Exception:
        traceback.print_exc()
        return time.monotonic_ns() // 1000


def _fill(token: Any, buffer: Any, length: int) -> int:
    try:
        random = _hooks[token]._random
        data = random(length) if random else os.urandom(length)
        if len(data) != length:
            raise ValueError(f"random: {len(data)} bytes instead of {length}")
        ctypes.memmove(buffer, data, length)
        return 0
    except Exception:
        traceback.print_exc()
        return FAILED


_WRITE, _WALL, _MONOTONIC, _FILL = LOG_FN(_write), CLOCK_FN(_wall), CLOCK_FN(_monotonic), RANDOM_FN(_fill)
