"""The jobs of one stream of `Submit` that have no result, or are followed. Without I/O: futures of
asyncio or of threads come from whoever uses it, under a lock if there are threads."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from jobsvc.client.error_details import read_job_failure
from jobsvc.client.errors import CallFailed
from jobsvc.v1.job_service_pb2 import SubmitJob, SubmitRequest, SubmitResponse

#: Most jobs and bytes of one request, so that the next is written while this one is read, and a
#: server takes it. A job that is larger has no place here.
_MAX_JOBS = 1000
MAX_BYTES = 1 << 20


class StreamBroken(Exception):
    """The stream ended before the result of a job, because of a failure."""

    def __init__(self, failure: CallFailed) -> None:
        super().__init__(str(failure))
        self.failure = failure


class Future(Protocol):
    """What the futures of asyncio and of threads have in common."""

    def done(self) -> bool:
        """Whether it has a result, or was cancelled."""

    def cancel(self) -> bool:
        """Cancels it, if it is not done."""

    # Any: `CreateJobResponse` or `JobUpdate`, which a protocol of both kinds cannot tell apart.
    def set_result(self, result: Any, /) -> None:
        """Ends it with a result."""

    def set_exception(self, error: BaseException, /) -> None:
        """Ends it with an error."""

    def exception(self) -> BaseException | None:
        """Its error, if it has one."""


F = TypeVar("F", bound=Future)


@dataclass(slots=True, eq=False)
class Unconfirmed(Generic[F]):
    """A job without a result. `created` will have a `CreateJobResponse`; `ended`, for a job that is
    followed, its last `JobUpdate`."""

    job: SubmitJob
    created: F
    ended: F | None
    #: Of a job that is followed, once its result has come.
    job_id: str = ""


class UnconfirmedJobs(Generic[F]):
    """The jobs of a stream, whose futures `new_future` makes."""

    def __init__(self, new_future: Callable[[], F]) -> None:
        self._new_future = new_future
        self._by_tag: dict[int, Unconfirmed[F]] = {}
        self._unsent: list[SubmitJob] = []
        self._followed: dict[str, F] = {}
        #: Jobs that nobody follows any more, to be sent.
        self._unfollowed: list[str] = []
        self._tag = 0

    def add(self, job: SubmitJob) -> Unconfirmed[F]:
        """Adds a job to be sent; its tag is set here."""
        self._tag += 1
        job.tag = self._tag
        unconfirmed = Unconfirmed(
            job, self._new_future(), self._new_future() if job.follow else None
        )
        self._by_tag[job.tag] = unconfirmed
        self._unsent.append(job)
        return unconfirmed

    def next_request(self) -> SubmitRequest | None:
        """Takes the next jobs to be sent; None if there are none."""
        while self._unsent:
            count = size_bytes = 0
            for job in self._unsent[:_MAX_JOBS]:
                size_bytes += job.ByteSize()
                if count and size_bytes > MAX_BYTES:
                    break
                count += 1
            jobs = [job for job in self._unsent[:count] if self._is_wanted(job)]
            del self._unsent[:count]
            if jobs:
                return SubmitRequest(jobs=jobs)
        if self._unfollowed:
            unfollowed = self._unfollowed[:_MAX_JOBS]
            del self._unfollowed[:_MAX_JOBS]
            return SubmitRequest(unfollow_job_ids=unfollowed)
        return None

    def unfollow(self, job_id: str) -> bool:
        """Says that nobody waits for the end of a job any more. Returns whether it was followed and
        its end has not come."""
        if self._followed.pop(job_id, None) is None:
            return False
        self._unfollowed.append(job_id)
        return True

    def give_up(self, unconfirmed: Unconfirmed[F]) -> None:
        """Says that nobody waits for a job any more, whether its result has come or not."""
        unconfirmed.created.cancel()
        self.unfollow(unconfirmed.job_id)

    def _is_wanted(self, job: SubmitJob) -> bool:
        """Whether nobody who waited for it has given up."""
        if not self._by_tag[job.tag].created.done():
            return True
        del self._by_tag[job.tag]
        return False

    def accept(self, response: SubmitResponse) -> None:
        """Takes in results and updates."""
        for result in response.results:
            unconfirmed = self._by_tag.pop(result.tag, None)
            if unconfirmed is None:
                continue
            if result.HasField("error"):
                _end(unconfirmed.created, read_job_failure(result.error))
                continue
            # One that existed is asked for by its id, and is not left alone: another creation may
            # follow it.
            if unconfirmed.ended is not None and not result.created.existing:
                unconfirmed.job_id = result.created.job.id
                self._followed[unconfirmed.job_id] = unconfirmed.ended
                if unconfirmed.created.done():  # Nobody waits for it any more.
                    self.unfollow(unconfirmed.job_id)
            _end(unconfirmed.created, result.created)
        for update in response.updates:
            if update.status.HasField("end_time"):
                _end(self._followed.pop(update.job_id, None), update)
        for gone in response.follow_failures:
            _end(self._followed.pop(gone.job_id, None), read_job_failure(gone.error))

    @property
    def is_empty(self) -> bool:
        """Whether all have their results, and those that are followed have ended."""
        return not self._by_tag and not self._followed

    @property
    def is_following(self) -> bool:
        """Whether updates are still to come."""
        return bool(self._followed) or any(each.job.follow for each in self._by_tag.values())

    def fail(self, failure: CallFailed | None) -> None:
        """Ends all of them by `StreamBroken`; None cancels them."""
        futures = [*(each.created for each in self._by_tag.values()), *self._followed.values()]
        self._by_tag, self._unsent, self._followed = {}, [], {}
        for future in futures:
            if failure is None:
                future.cancel()
            elif not future.done():
                future.set_exception(StreamBroken(failure))
                future.exception()  # Whoever waits for it hears of it; nobody may.


def _end(future: Future | None, end: object) -> None:
    if future is None or future.done():
        return
    if isinstance(end, CallFailed):
        future.set_exception(end)
        future.exception()
    else:
        future.set_result(end)
