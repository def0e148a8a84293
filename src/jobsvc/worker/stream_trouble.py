"""What a worker does about streams that fail: the wait, the log, and the size of the next one."""

import logging
import os
import random

from jobsvc.domain.http_proxy import name_proxy
from jobsvc.worker.log_throttle import LogThrottle
from jobsvc.worker.reconnect_backoff import GOOD_SECONDS, Backoff
from jobsvc.worker.stream_allowance import StreamAllowance
from jobsvc.worker.stream_end import StreamEnd, WorkerStopped

log = logging.getLogger("jobsvc.worker")

#: A worker tries to reconnect every 5 seconds at least, whatever a server asks for.
MAX_RETRY_SECONDS = 4.0
#: Share of the wait that is added to it at random.
SPREAD = 0.2


class StreamTrouble:
    """The failures of one worker's streams, one after the other. Times are on any one clock."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._backoff = Backoff()
        self._log_throttle = LogThrottle()
        self._allowance = StreamAllowance()
        #: What the last refusal asked for.
        self._retry_seconds = 0.0

    def delay_seconds(self) -> float:
        """Returns the wait before the next stream: no less than the server asked for, if it has no
        room, and spread beyond that, for a crowd that was refused at once."""
        asked = min(self._retry_seconds, MAX_RETRY_SECONDS) * (1 + SPREAD * random.random())
        self._retry_seconds = 0.0
        return max(self._backoff.delay_seconds(random.random()), asked)

    def limit_bytes(self, now: float) -> float:
        """Returns how much a stream that is opened at `now` should carry."""
        return self._allowance.limit_bytes(now)

    def note_life(self, seconds: float) -> None:
        """Notes how long a stream has lived: after a good one the trouble is over."""
        if seconds >= GOOD_SECONDS:
            self._backoff.reset()
            self._log_throttle.reset()

    def note_failure(self, end: StreamEnd, now: float, remark: str = "") -> None:
        """Logs how a stream has ended, or why there is none.

        Raises:
            WorkerStopped: the next one would end in the same way.
        """
        text = end.describe(self._target, name_proxy(self._target, os.environ))
        if end.fatal:
            raise WorkerStopped(text)
        self._retry_seconds = end.retry_seconds
        if self._log_throttle.due(now) or remark:
            log.warning("%s; trying again%s", text, remark)

    def note_break(self, end: StreamEnd, sent_bytes: int, limit_bytes: float, now: float) -> None:
        """Does as `note_failure` for a stream that ended with frames on their way; if no word of
        the server's ended it, the next ones may have to carry less."""
        remark = ""
        if end.broke and self._allowance.note_break(sent_bytes, limit_bytes, now):
            remark = (
                f" with {self._allowance.limit_bytes(now):,.0f} bytes a stream: {sent_bytes:,} were"
                " sent, and a proxy may limit what one call carries (nginx: client_max_body_size)"
            )
        self.note_failure(end, now, remark)
