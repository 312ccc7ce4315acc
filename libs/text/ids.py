"""The ids everything is named by: UUIDv7 (RFC 9562), 36 characters, in order of creation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import UUID

import uuid_utils

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def new_id() -> str:
    """An id never given before, greater than every id this process has given so far."""
    return str(uuid_utils.uuid7())


def id_at(time: datetime) -> str:
    """An id for something that happened at `time`, as imports need that keep original times.

    It sorts among other ids by the millisecond of `time`; within one millisecond the order is random.
    Raises ValueError for a time without a time zone, before 1970 or after 2500.
    """
    if time.tzinfo is None:
        raise ValueError("an id needs a time with its time zone")
    microseconds = (time - _EPOCH) // _MICROSECOND
    # The library counts nanoseconds in 64 bits, which end in 2554; past that it would wrap round to 1970.
    if microseconds < 0 or time.astimezone(UTC).year > 2500:
        raise ValueError(f"an id holds times from 1970 to 2500, not {time.isoformat()}")
    return str(uuid_utils.uuid7(nanoseconds=microseconds * 1000))


def time_of(text: str) -> datetime:
    """When an id was made, in UTC, to the millisecond. Raises ValueError for anything but a UUIDv7 of 36 characters."""
    if not is_id(text):
        raise ValueError(f"not a UUIDv7: {text[:60]!r}")
    return _EPOCH + timedelta(milliseconds=int(text[:8] + text[9:13], 16))


def is_id(text: str) -> bool:
    """Whether `text` is an id as `new_id` writes them: lower case, with hyphens, version 7."""
    if len(text) != 36:
        return False
    try:
        parsed = UUID(text)
    except ValueError:
        return False
    return parsed.version == 7 and str(parsed) == text


def pair_id(first: str, second: str) -> str:
    """The id of what stands between two things, the same each time: a UUIDv8 (RFC 9562, section 5.8) of SHA-256 over both.

    Used for streams such as one person's responses to one post, so that a popular post is no contended stream.
    """
    digest = bytearray(sha256(f"{first}\0{second}".encode()).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return str(UUID(bytes=bytes(digest)))
