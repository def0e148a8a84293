"""Bookmarks: a place in the changes of jobs, from which a broken watch goes on. Pure.

They are not signed: a forged one names another time to begin at, and gives nothing away, since a
caller sees only jobs that it may see.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from jobsvc.api.convert.request_checks import RequestChecks

_EPOCH = datetime.fromtimestamp(0, UTC)
_MICROSECOND = timedelta(microseconds=1)
#: A version, the timeline of the database, microseconds since 1970 by its clock.
_FORM = re.compile(r"1-([0-9a-f]{1,8})-([0-9a-f]{1,13})")


class Bookmark(NamedTuple):
    """A watermark in the changes, on a timeline of the database."""

    timeline: int
    watermark: datetime


def write_bookmark(bookmark: Bookmark) -> str:
    """Returns a bookmark as it is sent."""
    microseconds = max((bookmark.watermark - _EPOCH) // _MICROSECOND, 0)
    return f"1-{bookmark.timeline:x}-{microseconds:x}"


def read_bookmark(checks: RequestChecks, text: str) -> Bookmark:
    """Checks the field `bookmark` of a request, and returns what it says."""
    found = _FORM.fullmatch(text)
    if found is None:
        checks.add("bookmark", "was not made by this server")
        return Bookmark(0, _EPOCH)
    return Bookmark(int(found[1], 16), _EPOCH + int(found[2], 16) * _MICROSECOND)
