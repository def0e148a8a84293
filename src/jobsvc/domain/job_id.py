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


def new_job_ids(count: int) -> list[str]:
    """Makes up to 4096 such ids, all of one millisecond, in ascending order."""
    millis, nanos = divmod(time.time_ns(), 1_000_000)
    # The twelve bits after the version hold the time within the millisecond, then count up.
    first = min(nanos * _STEPS // 1_000_000, _STEPS - count)
    head = f"{millis >> 16:08x}-{millis & 0xFFFF:04x}-7"
    return [
        f"{head}{step:03x}-{_VARIANTS[chance[0]]}{chance[1:4]}-{chance[4:]}"
        for step, chance in enumerate(os.urandom(8 * count).hex(" ", 8).split(" "), first)
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
#: For each random digit: the two variant bits of RFC 9562, and two random bits.
_VARIANTS = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
