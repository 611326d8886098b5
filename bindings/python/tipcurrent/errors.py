"""What goes wrong, as an exception tree: one class for each code of the library (tipcurrent/error.h), all of them an :class:`Error`.

``str(error)`` is the library's own line: what was tried, the reason, the offending value; a field is named as in the JSON (``amount: must be greater than 0``).
"""

from __future__ import annotations

from typing import Dict, Optional, Type

__all__ = [
    "Error", "InvalidArgument", "OutOfMemory", "NotFound", "AlreadyExists", "Conflict", "KeyMismatch", "Busy", "StorageFailed", "Corrupt", "Timeout",
    "OutcomeUnknown", "Closed", "LimitExceeded", "NotSupported", "VersionMismatch", "CallbackFailed", "LibraryError",
]


class LibraryError(ImportError):
    """libtipcurrent was not found, or is none that this package knows how to call. Raised by ``import tipcurrent``."""


class Error(Exception):
    """A call of the library failed. Outputs are as before; whether something was stored is said by the class."""

    #: The library's number for it, negative (TC_EINVAL is -1).
    code: int = 0

    def __init__(self, detail: str, code: Optional[int] = None) -> None:
        super().__init__(detail)
        if code is not None:
            self.code = code


class InvalidArgument(Error, ValueError):
    """The caller's mistake; the text names the field and the limit. Nothing was stored."""

    code = -1


class OutOfMemory(Error, MemoryError):
    """Nothing was done."""

    code = -2


class NotFound(Error, LookupError):
    """No such object."""

    code = -3


class AlreadyExists(Error):
    """It is there already, and it is another one."""

    code = -4


class Conflict(Error):
    """It conflicts with what is stored: nothing is left of a tip to take back."""

    code = -5


class KeyMismatch(Error):
    """The idempotency key was used before with a different request. Nothing was stored."""

    code = -6


class Busy(Error):
    """A queue is full, the indexes are being rebuilt, or another process has the files. Nothing was stored: try again."""

    code = -7


class StorageFailed(Error):
    """The storage failed (disk full, I/O error). Nothing was stored."""

    code = -8


class Corrupt(Error):
    """Stored data is damaged."""

    code = -9


class Timeout(Error, TimeoutError):
    """Nothing was stored, or nothing arrived, in time."""

    code = -10


class OutcomeUnknown(Error):
    """It may or may not be stored: try again with the same idempotency key."""

    code = -11


class Closed(Error):
    """The engine or subscription is closed or closing. Nothing was stored."""

    code = -12


class LimitExceeded(Error):
    """A documented limit is reached; the text says which."""

    code = -13


class NotSupported(Error):
    """The storage, or this build, cannot do that."""

    code = -14


class VersionMismatch(Error):
    """Files of a newer release, or a struct of a newer header."""

    code = -15


class CallbackFailed(Error):
    """A function that the program gave the library failed."""

    code = -16


_BY_CODE: Dict[int, Type[Error]] = {
    each.code: each
    for each in (
        InvalidArgument, OutOfMemory, NotFound, AlreadyExists, Conflict, KeyMismatch, Busy, StorageFailed, Corrupt, Timeout, OutcomeUnknown, Closed,
        LimitExceeded, NotSupported, VersionMismatch, CallbackFailed,
    )
}


def error_of(code: int, detail: str) -> Error:
    """The exception for a code; one that this package does not know (a newer library's) is a plain :class:`Error`."""
    return _BY_CODE.get(code, Error)(detail, code)
