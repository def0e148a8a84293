"""Ids of jobs: UUIDs of version 7, made here."""

import os
import time


def new_job_id() -> str:
    """A UUID version 7 (RFC 9562) in canonical form: sorts by creation time, to the millisecond."""
    return new_job_ids(1)[0]


def new_job_ids(count: int) -> list[str]:
    """Ids like those of `new_job_id`, of one millisecond, in their order; up to 4096 of them."""
    millis, nanos = divmod(time.time_ns(), 1_000_000)
    # The twelve bits behind the version are the time within the millisecond, and count on.
    first = min(nanos * _STEPS // 1_000_000, _STEPS - count)
    head = f"{millis >> 16:08x}-{millis & 0xFFFF:04x}-7"
    return [
        f"{head}{step:03x}-{_VARIANTS[chance[0]]}{chance[1:4]}-{chance[4:]}"
        for step, chance in enumerate(os.urandom(8 * count).hex(" ", 8).split(" "), first)
    ]


_STEPS = 4096
#: The two bits of RFC 9562, and two by chance, by a digit.
_VARIANTS = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
