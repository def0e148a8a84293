"""What a worker has to send on its stream, as frames. Never awaits."""

from collections.abc import Iterable
from math import inf
from typing import Any

from jobsvc.v1.worker_service_pb2 import (
    ExtendLeasesRequest,
    LeaseExtension,
    SetWindow,
    Subscribed,
    WorkRequest,
)
from jobsvc.worker.lease_book import LeaseBook
from jobsvc.worker.outcome import report

#: How far a frame stays below the server's limit.
_MARGIN_BYTES = 512 * 1024
#: Bytes of a frame around its items, and of an item besides its own: tags, lengths, gRPC's prefix.
_FRAME_BYTES = 24
_ITEM_BYTES = 6
#: How long an outcome waits that was too large for its stream, at first and at most.
FIRST_PAUSE_SECONDS = 5.0
MAX_PAUSE_SECONDS = 300.0


class Outbox:
    """Makes the window, the extensions and the outcomes into frames that server and stream take."""

    def __init__(self, book: LeaseBook[Any], window: int) -> None:
        self._book = book
        self._window_sent = window
        self._takes_ids = False
        self._max_items = 1000
        self._max_bytes = 3 * 1024 * 1024
        self._extensions: list[LeaseExtension] = []
        #: Whether this stream has carried extensions, and outcomes.
        self._has_extended = self._has_reported = False
        #: The lease of the outcome on this stream that has more bytes than the stream should.
        self._too_large = ""
        #: When those that broke their stream are due again.
        self._retry_times: dict[str, float] = {}
        self._pause_seconds = FIRST_PAUSE_SECONDS
        #: Whether what comes next needs more room than this stream has left.
        self.needs_room = False

    def connect(self, subscribed: Subscribed, window_sent: int, now: float) -> float:
        """Takes up a new stream: every unconfirmed outcome is sent on it, again if need be.

        But one that was too large for its stream, and broke it, is deferred, or it would break
        each stream at once. Returns when deferred outcomes must be resent; inf without any.
        """
        limits = subscribed.limits
        self._max_items = min(limits.max_batch_items or 1000, 1000)
        self._max_bytes = max((limits.max_message_bytes or 4 << 20) - _MARGIN_BYTES, 64 * 1024)
        self._takes_ids = subscribed.takes_succeeded_lease_ids
        self._window_sent = window_sent
        # To subscribe has extended the leases; their progress is still to be told.
        self._extensions = [item for item in self._extensions if item.HasField("progress")]
        self._has_extended = self._has_reported = self.needs_room = False
        self._book.resend_all()
        return self._postpone_too_large(now)

    def _postpone_too_large(self, now: float) -> float:
        too_large, self._too_large = self._too_large, ""
        if too_large:
            self._retry_times[too_large] = now + self._pause_seconds
        self._retry_times = {
            lease_id: retry_time
            for lease_id, retry_time in self._retry_times.items()
            if retry_time > now and self._book.postpone(lease_id)
        }
        if too_large in self._retry_times:
            self._pause_seconds = min(2 * self._pause_seconds, MAX_PAUSE_SECONDS)
        elif too_large:  # It has passed.
            self._pause_seconds = FIRST_PAUSE_SECONDS
        return min(self._retry_times.values(), default=inf)

    def extend(self, extensions: Iterable[LeaseExtension]) -> None:
        """Adds extensions to send."""
        self._extensions += extensions

    def next_frame(self, window: int, room_bytes: float = inf) -> WorkRequest | None:
        """Returns the next frame to send. None when there is none, or when it `needs_room`.

        `window` is what the server should know. `room_bytes` is what the stream may still
        carry; yet each stream carries one extension and one outcome, however large.
        """
        if window != self._window_sent:
            self._window_sent = window
            return WorkRequest(set_window=SetWindow(window=window))
        room_bytes -= _FRAME_BYTES
        if self._extensions:
            count = self._count_extensions(room_bytes)
            if not count and self._has_extended:
                self.needs_room = True
                return None
            self._has_extended = True
            chunk = self._extensions[: count or 1]
            del self._extensions[: count or 1]
            return WorkRequest(extend_leases=ExtendLeasesRequest(extensions=chunk))
        if room_bytes < inf and self._book.next_bytes > room_bytes:
            if self._has_reported:
                self.needs_room = True
                return None
            self._too_large = self._book.next_lease_id
        outcomes = self._book.send(self._max_items, min(self._max_bytes, room_bytes))
        if not outcomes:
            return None
        self._has_reported = True
        return WorkRequest(report_outcomes=report(outcomes, self._takes_ids))

    def _count_extensions(self, room_bytes: float) -> int:
        """How many extensions fit into the next frame."""
        if room_bytes == inf:
            return self._max_items
        count = 0
        for item in self._extensions[: self._max_items]:
            room_bytes -= item.ByteSize() + _ITEM_BYTES
            if room_bytes < 0:
                break
            count += 1
        return count
