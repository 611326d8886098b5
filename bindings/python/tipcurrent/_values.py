"""Python's values as the library's, and back: text, amounts, times. Exact both ways."""

from __future__ import annotations

import ctypes
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Optional, Union

from ._library import check, lib
from .errors import InvalidArgument

#: What an amount may be given as: never a float.
Amount = Union[Decimal, int, str]

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
MICROSECOND = timedelta(microseconds=1)


def text_in(name: str, text: Optional[str]) -> Optional[bytes]:
    """UTF-8 for a C string. What a C string cannot hold is refused in the library's own words."""
    if text is None:
        return None
    if not isinstance(text, str):
        raise TypeError(f"{name}: must be a str, not {type(text).__name__}")
    try:
        data = text.encode()
    except UnicodeEncodeError:
        raise InvalidArgument(f"{name}: must be valid UTF-8") from None
    if b"\0" in data:
        raise InvalidArgument(f"{name}: must not contain U+0000")
    return data


def text_out(data: Optional[bytes]) -> Optional[str]:
    return None if data is None else data.decode()


def amount_text(amount: Amount) -> str:
    """The decimal text of an amount. A Decimal's own text, whatever the context's precision is."""
    if isinstance(amount, str):
        return amount
    if isinstance(amount, (Decimal, int)) and not isinstance(amount, bool):
        return str(amount)
    raise TypeError(f"amount: must be a Decimal, an int or a str, not {type(amount).__name__}")


def amount_in(amount: Amount) -> int:
    """Hundredths. The library reads the text, so its rules and words are the same everywhere."""
    text = amount_text(amount).encode("utf-8", "replace")
    hundredths = ctypes.c_int64()
    check(lib.tc_amount_parse(text, len(text), ctypes.byref(hundredths)))
    return hundredths.value


def amount_out(hundredths: int) -> Decimal:
    """Exact, with two decimals; not by arithmetic, which would round to the context's precision."""
    return Decimal("%s%d.%02d" % ("-" if hundredths < 0 else "", *divmod(abs(hundredths), 100)))


def int64_in(name: str, value: int) -> int:
    """ctypes would cut a number that does not fit."""
    if not isinstance(value, int):
        raise TypeError(f"{name}: must be an int, not {type(value).__name__}")
    if not INT64_MIN <= value <= INT64_MAX:
        raise InvalidArgument(f"{name}: {value} is out of range")
    return value


def time_in(name: str, moment: datetime) -> int:
    """Microseconds UTC of an aware datetime."""
    if not isinstance(moment, datetime):
        raise TypeError(f"{name}: must be a datetime, not {type(moment).__name__}")
    if moment.utcoffset() is None:
        raise InvalidArgument(f"{name}: must be an aware datetime: one without a time zone says no moment")
    return (moment - EPOCH) // MICROSECOND


def time_out(microseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=microseconds)


def optional_time_out(microseconds: int) -> Optional[datetime]:
    """0 says never."""
    return time_out(microseconds) if microseconds else None


def iso_time(text: str) -> datetime:
    """The library's own RFC 3339 text, which ends in Z."""
    return datetime.fromisoformat(text[:-1] + "+00:00")


def bytes_at(address: int, length: ctypes.c_size_t) -> bytes:
    return ctypes.string_at(address, length.value)
