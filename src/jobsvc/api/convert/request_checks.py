"""Collects what is wrong with a request, by the path of the field; and the checks that recur."""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from jobsvc.domain.errors import InvalidRequest, Violation
from jobsvc.domain.limits import MAX_SECONDS

QUEUE_NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

#: The first and the last moment of a datetime stand for the infinities in PostgreSQL.
_FIRST_TIME = datetime.min.replace(tzinfo=UTC) + timedelta(microseconds=1)
_LAST_TIME = datetime.max.replace(tzinfo=UTC) - timedelta(microseconds=1)


class RequestChecks:
    """The violations of one request. A check that fails adds one and answers with a stand-in."""

    def __init__(self) -> None:
        self.violations: list[Violation] = []

    def add(self, field: str, description: str) -> None:
        """Notes a defect."""
        self.violations.append(Violation(field, description))

    def raise_if_violated(self) -> None:
        """Ends the checks.

        Raises:
            InvalidRequest: something was wrong.
        """
        if self.violations:
            raise InvalidRequest(self.violations)

    def queue(self, field: str, name: str) -> str:
        """A queue name."""
        if not QUEUE_NAME.fullmatch(name):
            self.add(
                field,
                "must be 1 to 63 lower-case letters, digits and hyphens,"
                " starting with a letter and not ending with a hyphen",
            )
        return name

    def uuid(self, field: str, text: str) -> str:
        """A UUID in canonical form."""
        if not _UUID.fullmatch(text):
            self.add(field, "must be a UUID in canonical lower-case form")
        return text

    def number(self, field: str, value: int, least: int, most: int) -> int:
        """A whole number in a range."""
        if not least <= value <= most:
            self.add(field, f"must be between {least} and {most}, not {value}")
        return value

    def factor(self, field: str, value: float, most: float) -> float:
        """A finite number from 0."""
        if not (math.isfinite(value) and 0 <= value <= most):
            self.add(field, f"must be between 0 and {most:g}")
        return value

    def text(self, field: str, value: str, most: int, least: int = 0) -> str:
        """A text that can be stored, with a bounded number of characters."""
        if not least <= len(value) <= most:
            self.add(field, f"must have {least} to {most} characters, not {len(value)}")
        elif "\0" in value:
            self.add(field, "must not hold a NUL character")
        return value

    def count(self, field: str, items: Sequence[object], least: int, most: int) -> None:
        """A list with a bounded number of items."""
        if not least <= len(items) <= most:
            self.add(field, f"must have {least} to {most} items, not {len(items)}")

    def enum(self, field: str, value: int, known: Sequence[int]) -> int:
        """A value that the enum has."""
        if value not in known:
            self.add(field, f"unknown value {value}")
        return value

    def mapping(
        self,
        field: str,
        values: Mapping[str, str],
        most: int,
        key: re.Pattern[str] | None = None,
        most_value: int = 255,
    ) -> dict[str, str]:
        """A bounded number of short texts by key."""
        if len(values) > most:
            self.add(field, f"must have at most {most} entries, not {len(values)}")
            return {}
        found = dict(values)
        for name, value in found.items():
            if key is not None and not key.fullmatch(name):
                self.add(f"{field}[{name[:80]!r}]", f"the key must match ^{key.pattern}$")
            elif key is None:
                self.text(f"{field}[{name[:80]!r}]", name, 255, 1)
            if len(value) > most_value or "\0" in value:
                self.text(f"{field}[{name[:80]!r}]", value, most_value)
        return found

    def seconds(
        self, field: str, value: Duration, least: float = 0, most: float = MAX_SECONDS
    ) -> float:
        """A duration in a range, in seconds."""
        seconds = value.seconds + value.nanos / 1e9
        if abs(value.nanos) >= 1_000_000_000 or value.seconds * value.nanos < 0:
            self.add(field, "is not a valid duration")
        elif not least <= seconds <= most:
            self.add(field, f"must be between {least:g} and {most:g} seconds, not {seconds:g}")
        return seconds

    def time(self, field: str, value: Timestamp) -> datetime:
        """A point in time, to the microsecond."""
        try:
            return min(max(value.ToDatetime(tzinfo=UTC), _FIRST_TIME), _LAST_TIME)
        except (ValueError, OverflowError):
            self.add(field, "is not a valid timestamp")
            return datetime.now(UTC)
