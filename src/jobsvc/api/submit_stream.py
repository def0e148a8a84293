"""Submit: one caller creates and follows many jobs. Frames in, frames out; each job has the road of
CreateJob, and each followed one that of StreamJobStatus."""

import asyncio
import logging
from collections.abc import Iterable, Sequence

from grpc import aio

from jobsvc.api.auth import reads_jobs, sees_payloads
from jobsvc.api.bounds import MAX_RESULTS_BYTES
from jobsvc.api.byte_budget import Charge, current_charge
from jobsvc.api.convert.submit_responses import Result, results_response
from jobsvc.api.guard import Context
from jobsvc.api.job_rates import JobRates
from jobsvc.api.status import status_of
from jobsvc.api.status_writer import StatusWriter
from jobsvc.api.submit_request import (
    MAX_ITEMS,
    JobsReader,
    Options,
    decode_request,
    read_options,
)
from jobsvc.domain.created_job import CreateResult
from jobsvc.domain.errors import (
    InvalidRequest,
    JobNotFound,
    JobsvcError,
    RoleRequired,
    ServerDraining,
    StreamLimit,
    Violation,
)
from jobsvc.domain.identity import PAYLOADS_VIEWER, VIEWER
from jobsvc.domain.job import NewJob
from jobsvc.domain.owner import Owner
from jobsvc.jobs.create import Asked, Creation
from jobsvc.jobs.followers import Follower, Hub
from jobsvc.jobs.read import JobReader, check_visible
from jobsvc.settings import Settings
from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb

log = logging.getLogger(__name__)

#: Jobs of one stream without a result; reading pauses beyond.
MAX_UNCONFIRMED = 10_000
#: Jobs that one stream follows.
MAX_FOLLOWED = 10_000
#: Updates that wait to be sent, by their bytes; no more are read beyond.
_MAX_WAITING_BYTES = 1 << 20
#: Follow failures that wait to be sent, and those of one response; reading pauses beyond.
_MAX_FAILURES = 1000
#: Transactions that the jobs of one stream have at a time, of those that need one of their own.
_MAX_ALONE = 8
#: Jobs whose status is read in one go.
_READ_IDS = 100
_GOES = "the server is about to go; open another stream"


class SubmitStreams:
    """Serves all streams of a replica."""

    def __init__(
        self,
        creation: Creation,
        jobs: JobsReader,
        reader: JobReader,
        hub: Hub,
        job_rates: JobRates,
        settings: Settings,
    ) -> None:
        self._creation = creation
        self._job_rates = job_rates
        self._jobs = jobs
        self._reader = reader
        self._hub = hub
        self._heartbeat_seconds = settings.heartbeat_interval_seconds

    async def serve(self, context: Context, caller: Owner) -> None:
        """Serves one caller until either side ends the stream.

        Raises:
            InvalidRequest: a request breaks a rule of the contract.
            ServerDraining: the replica is about to exit.
        """
        with self._hub.follow(()) as follower:
            stream = _Stream(
                self._creation,
                self._jobs,
                self._reader,
                self._hub,
                self._job_rates,
                follower,
                caller,
            )
            await stream.serve(context, self._heartbeat_seconds)


class _Stream:
    def __init__(
        self,
        creation: Creation,
        jobs: JobsReader,
        reader: JobReader,
        hub: Hub,
        job_rates: JobRates,
        follower: Follower,
        caller: Owner,
    ) -> None:
        self._creation = creation
        self._job_rates = job_rates
        self._jobs = jobs
        self._reader = reader
        self._hub = hub
        self._follower = follower
        self._caller = caller
        #: What is to be written.
        self._results: list[Result] = []
        self._updates: list[pb.JobUpdate] = []
        self._updates_bytes = 0
        self._failures: list[pb.FollowFailure] = []
        #: There is something to write, or the stream is over.
        self._changed = asyncio.Event()
        #: Something was written.
        self._written = asyncio.Event()
        #: Jobs that were read and whose results are not written.
        self._unconfirmed = 0
        self._alone = asyncio.Semaphore(_MAX_ALONE)
        #: Followed jobs of which nothing may be told yet, and those of them that may have changed
        #: already: their result does not stand among `_results`, or their owner is being checked.
        self._held: set[str] = set()
        self._changed_early: set[str] = set()
        #: No more requests will be read.
        self._ended = False
        self._draining = False

    async def serve(self, context: Context, heartbeat_seconds: float) -> None:
        await context.write(
            pb.SubmitResponse(
                limits=pb.SubmitLimits(
                    max_unconfirmed_jobs=MAX_UNCONFIRMED,
                    max_request_jobs=MAX_ITEMS,
                    max_followed_jobs=MAX_FOLLOWED,
                )
            )
        )
        data = await context.read()
        if data is aio.EOF:
            return
        charge = current_charge.get()
        await charge.wait(len(data))
        first = await decode_request(data)
        options = read_options(first, heartbeat_seconds)
        first.ClearField("options")
        try:
            async with asyncio.TaskGroup() as tasks:
                follow = tasks.create_task(self._follow_changes(options))
                read = tasks.create_task(self._read(context, charge, first, len(data), tasks))
                del first, data
                await self._write(context, options)
                follow.cancel()
                read.cancel()
        except BaseExceptionGroup as group:
            # The first error ends the stream; the errors that it causes are logged.
            error, *rest = group.exceptions
            for other in rest:
                log.warning("stream of a caller: also %r", other)
            raise error from None
        if self._draining:
            raise ServerDraining(_GOES)

    # Reading.

    async def _read(
        self,
        context: Context,
        charge: Charge,
        request: pb.SubmitRequest,
        size_bytes: int,
        tasks: asyncio.TaskGroup,
    ) -> None:
        while True:
            self._unconfirmed += len(request.jobs)
            for start in range(0, len(request.follow_job_ids), _READ_IDS):
                await self._follow(request.follow_job_ids[start : start + _READ_IDS])
            self._hub.leave(self._follower, request.unfollow_job_ids)
            if request.jobs:
                tasks.create_task(self._create(request.jobs, charge, size_bytes))
            else:
                charge.give_back(size_bytes)
            del request
            # Requests that come meanwhile are read, so that their jobs share a commit.
            while self._unconfirmed >= MAX_UNCONFIRMED or len(self._failures) >= _MAX_FAILURES:
                self._written.clear()
                await self._written.wait()
            data = await context.read()
            if data is aio.EOF or self._draining:
                self._ended = True
                self._changed.set()
                return
            size_bytes = len(data)
            await charge.wait(size_bytes)
            request = await decode_request(data)
            del data
            if request.HasField("options"):
                raise InvalidRequest([Violation("options", "must come in the first request only")])

    async def _create(self, jobs: Sequence[pb.SubmitJob], charge: Charge, size_bytes: int) -> None:
        tags = [job.tag for job in jobs]
        followed = [job.follow for job in jobs]
        read = self._job_rates.take_each(await self._jobs.read(jobs, self._caller))
        del jobs
        checked = await self._creation.check_each(
            [each for each in read if isinstance(each, Asked)]
        )
        results: list[Result] = []
        asked: list[tuple[int, bool, Asked, NewJob]] = []
        others = iter(checked)
        for tag, follow, each in zip(tags, followed, read, strict=True):
            new = next(others) if isinstance(each, Asked) else each
            if isinstance(each, Asked) and isinstance(new, NewJob):
                asked.append((tag, follow, each, new))
                if follow and self._has_room and reads_jobs():
                    # Before it is written: a change right after is not missed.
                    self._held.add(new.id)
                    self._hub.join(self._follower, (new.id,), version=1)
            else:
                assert isinstance(new, Exception)
                results.append((tag, new))
        del read, checked
        if asked:
            ends = await self._creation.create_each(
                [each for _, _, each, _ in asked], [new for _, _, _, new in asked], self._alone
            )
            for (tag, follow, _, new), end in zip(asked, ends, strict=True):
                results.append((tag, end))
                if follow:
                    self._followed_from_now(new.id, end)
        charge.give_back(size_bytes)
        self._results += results
        self._changed.set()
        for job_id in self._changed_early - self._held:
            self._changed_early.discard(job_id)
            self._follower.look_again(job_id)

    def _followed_from_now(self, job_id: str, result: CreateResult | Exception) -> None:
        """Follows the job of a result; `job_id` is the one that it has if it is new."""
        joined = job_id in self._held
        self._held.discard(job_id)
        job = None if isinstance(result, Exception) else result.job
        if joined and (job is None or job.id != job_id):
            self._hub.leave(self._follower, (job_id,))
        if job is None or job.id in self._follower.seen or (joined and job.id == job_id):
            return
        # Its result says nothing of its output.
        if self._join([job.id]):
            self._follower.mark(job.id)

    async def _follow(self, job_ids: Sequence[str]) -> None:
        """Follows jobs from now on, and has their status written."""
        # Before they are read: a change in between is then read again.
        new = self._join(dict.fromkeys(job_ids))
        self._held.update(new)
        jobs = await self._reader.read_statuses(new, False)
        self._held.difference_update(new)
        self._changed_early.difference_update(new)  # They are about to be marked.
        for job_id in new:
            try:
                check_visible(jobs, [job_id], self._caller)
            except JobsvcError as error:
                self._hub.leave(self._follower, (job_id,))
                self._fail(job_id, error)
            else:
                self._follower.mark(job_id)

    def _join(self, job_ids: Iterable[str]) -> list[str]:
        """Follows jobs, and returns those that are new; those without room are follow failures."""
        new = []
        for job_id in job_ids:
            if job_id in self._follower.seen:
                continue
            if not reads_jobs():
                self._fail(job_id, RoleRequired([VIEWER, PAYLOADS_VIEWER]))
            elif self._has_room:
                self._hub.join(self._follower, (job_id,))
                new.append(job_id)
            else:
                text = f"a stream follows {MAX_FOLLOWED} jobs at most"
                self._fail(job_id, StreamLimit(text, "jobs of a stream"))
        return new

    @property
    def _has_room(self) -> bool:
        return len(self._follower.seen) < MAX_FOLLOWED

    def _fail(self, job_id: str, error: Exception) -> None:
        self._failures.append(pb.FollowFailure(job_id=job_id, error=status_of(error)))
        self._changed.set()

    # Writing.

    async def _follow_changes(self, options: Options) -> None:
        """Reads the status of jobs that have changed, until the server drains."""

        async def send(update: pb.JobUpdate) -> None:
            if update.job_id not in self._follower.seen:  # It has ended.
                self._hub.leave(self._follower, (update.job_id,))
            while self._updates_bytes > _MAX_WAITING_BYTES:
                self._written.clear()
                await self._written.wait()
            self._updates.append(update)
            self._updates_bytes += update.ByteSize()
            self._changed.set()

        writer = StatusWriter(
            self._reader, self._follower, sees_payloads(), options.payload_encoding, send
        )
        try:
            while True:
                changed = await self._follower.woken()
                self._changed_early.update(self._held.intersection(changed))
                job_ids = [job_id for job_id in changed if job_id not in self._held]
                await writer.write_changed(job_ids)
                for job_id in job_ids:
                    if self._hub.leave_unless_seen(self._follower, job_id):
                        self._fail(job_id, JobNotFound(job_id))
        except ServerDraining:
            self._draining = True
            self._changed.set()
        finally:
            writer.charge.close()

    async def _write(self, context: Context, options: Options) -> None:
        drain_told = False
        while True:
            try:
                async with asyncio.timeout(options.heartbeat_seconds):
                    await self._changed.wait()
            except TimeoutError:
                beat = pb.SubmitResponse(heartbeat=job_pb2.StreamHeartbeat())
                beat.heartbeat.server_time.GetCurrentTime()
                await context.write(beat)
                continue
            self._changed.clear()
            if self._draining and not drain_told:
                drain_told = True
                await context.write(pb.SubmitResponse(drain=pb.SubmitDrain(reason=_GOES)))
            while self._results or self._updates or self._failures:
                await context.write(await self._next_response())
                self._written.set()
            if (self._ended or self._draining) and not self._unconfirmed:
                return

    async def _next_response(self) -> pb.SubmitResponse:
        response, count = await results_response(self._results, MAX_RESULTS_BYTES)
        del self._results[:count]
        self._unconfirmed -= count
        if self._results or (
            count and response.ByteSize() + self._updates_bytes > MAX_RESULTS_BYTES
        ):
            # Results come before what is said of their jobs.
            return response
        response.updates.extend(self._updates)
        self._updates, self._updates_bytes = [], 0
        response.follow_failures.extend(self._failures[:_MAX_FAILURES])
        del self._failures[:_MAX_FAILURES]
        return response
