"""What a replica takes on: its limits, and whether it drains."""

from jobsvc.api.byte_budget import ByteBudget
from jobsvc.api.call_limit import CallLimit, OwnCounts
from jobsvc.api.job_rates import JobRates
from jobsvc.api.late_refusals import LateRefusals
from jobsvc.domain.errors import RateLimited, ServerDraining, StreamLimit
from jobsvc.domain.fair_limit import FairLimit
from jobsvc.domain.methods import Method
from jobsvc.domain.share import Buckets
from jobsvc.settings import Settings
from jobsvc.telemetry.catalogue import CALL_BYTES, CALLS, CALLS_WAITING
from jobsvc.telemetry.measurements import Measurements

#: Half of the bytes are kept for callers that hold little, so that each has room for a large
#: message or two.
_RESERVED_BYTES_PERCENT = 50
#: Requests that are read at a time before it is known how large they are: so many of anybody, and
#: so many more in shares. Most are small, and read in no time; one that is not read takes no more
#: than its stream's window.
FREE_READS = 16
_SHARED_READS = 16


class Admission:
    """The limits of a replica, and whether it drains."""

    def __init__(self, settings: Settings, measurements: Measurements | None = None) -> None:
        #: All limits on calls, by the kind that each counts.
        self._limits: dict[str, CallLimit] = {}
        #: The replica is about to exit: set once, never unset.
        self.draining = False
        self._call_buckets = Buckets()
        self._own_streams = OwnCounts("streams")
        self._own_waiting_calls = OwnCounts("waiting calls")
        #: Calls that are beyond a limit, and wait to be told.
        self.late_refusals = LateRefusals()
        #: Jobs that callers create.
        self.job_rates = JobRates(self.late_refusals)
        self._reserved_percent = settings.reserved_percent
        self._max_calls = settings.max_calls
        self._calls = self._limit(settings.max_calls, RateLimited, "calls")
        #: Streams of those who create and follow jobs.
        self._status_streams = self._limit(
            settings.max_status_streams, StreamLimit, "status streams", self._own_streams
        )
        self._worker_streams = self._limit(
            settings.max_worker_streams, StreamLimit, "worker streams", self._own_streams
        )
        self.bytes = ByteBudget(
            FairLimit.reserving(settings.max_bytes_in_progress, _RESERVED_BYTES_PERCENT)
        )
        self.max_request_bytes = settings.max_message_bytes
        #: What requests may have that are counted when they are read.
        self.reading = ByteBudget(
            FairLimit.reserving(_SHARED_READS * settings.max_message_bytes, _RESERVED_BYTES_PERCENT)
        )

        if measurements is not None:
            measurements.gauge(
                CALLS, lambda: [((kind,), c.count) for kind, c in list(self._limits.items())]
            )
            measurements.gauge(CALL_BYTES, lambda: [((), self.bytes.held_bytes)])
            measurements.gauge(
                CALLS_WAITING,
                lambda: [
                    (("room",), self.bytes.waiting + self.reading.waiting),
                    (("refusal",), self.late_refusals.waiting),
                ],
            )

    def unary_limit(self, method: Method) -> CallLimit:
        """Returns the limit that counts the unary calls of a method. Ask once for each method."""
        if not method.waits:
            return self._calls
        # Apart, so that calls that wait cannot keep workers from extending and reporting, nor
        # workers from getting jobs.
        return self._limit(
            self._max_calls, RateLimited, f"{method.name} calls", self._own_waiting_calls
        )

    def stream_limit(self, method: Method) -> CallLimit:
        """Returns the limit that counts the streams of a method."""
        is_worker = method.service == "jobsvc.v1.WorkerService"
        return self._worker_streams if is_worker else self._status_streams

    def drain(self) -> None:
        """The replica is about to exit."""
        self.draining = True
        self.late_refusals.end()

    def check_draining(self, method: Method) -> None:
        """Refuses a call that a draining server does not serve.

        Raises:
            ServerDraining: the server is about to exit.
        """
        if self.draining and not method.served_while_draining:
            raise ServerDraining("the server is about to go; try again")

    def _limit(
        self, limit: int, error: type[RateLimited], kind: str, own: OwnCounts | None = None
    ) -> CallLimit:
        made = CallLimit(
            FairLimit.reserving(limit, self._reserved_percent),
            error,
            kind,
            self._call_buckets,
            own,
        )
        self._limits[kind] = made
        return made
