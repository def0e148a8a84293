"""Ids of jobs: makes UUIDs of version 7."""

import os
import time
from datetime import UTC, datetime, timedelta

#: Ids below and above those of all jobs.
FIRST_ID = "00000000-0000-0000-0000-000000000000"
LAST_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff"
_EPOCH = datetime.fromtimestamp(0, UTC)
_MILLISECOND = timedelta(milliseconds=1)


def new_job_id() -> str:
    """Makes a UUID version 7 (RFC 9562) in canonical form; it sorts by its millisecond."""
    return new_job_ids(1)[0]


def new_job_ids(count: int, shift: timedelta = timedelta(0)) -> list[str]:
    """Makes up to 4096 such ids, all of one millisecond, in ascending order. `shift` is added to
    the system's clock.

    The twelve bits behind the variant are those of a shard, and 0 (ADR 24).
    """
    millis, nanos = divmod(time.time_ns(), 1_000_000)
    if shift:
        millis += shift // _MILLISECOND
    # The twelve bits after the version hold the time within the millisecond, then count up.
    first = min(nanos * _STEPS // 1_000_000, _STEPS - count)
    head = f"{millis >> 16:08x}-{millis & 0xFFFF:04x}-7"
    return [
        f"{head}{step:03x}-{_SHARD}-{chance}"
        for step, chance in enumerate(os.urandom(6 * count).hex(" ", 6).split(), first)
    ]


def first_job_id(moment: datetime, shift: timedelta = timedelta(0)) -> str:
    """Returns an id that sorts before all those made from `shift` after a moment on, and after all
    that were made before, to the millisecond. Pure."""
    millis = (moment - _EPOCH + shift) // _MILLISECOND
    digits = f"{min(max(millis, 0), 2**48 - 1):012x}"
    return f"{digits[:8]}-{digits[8:]}{FIRST_ID[13:]}"


def created_millis(job_id: str) -> int:
    """Returns the milliseconds since 1970 at which an id was made. Pure."""
    return int(job_id[:8] + job_id[9:13], 16)


_STEPS = 4096
#: The variant of RFC 9562 (its digit is 8 to b, here always 8), and shard 0.
_SHARD = "8000"
