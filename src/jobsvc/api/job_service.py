"""JobService: for services that need work done. Thin: checks and converts, others decide."""

import asyncio
import random
from collections.abc import Mapping, Sequence

from google.protobuf.timestamp_pb2 import Timestamp

from jobsvc.api.auth import Identity
from jobsvc.api.convert.create_responses import created, previewed, runs, shorten, write_run
from jobsvc.api.convert.job_requests import RequestReader
from jobsvc.api.convert.jobs import (
    check_encoding,
    job_ids,
    view_is_full,
    write_job,
    write_status,
)
from jobsvc.api.convert.request_checks import RequestChecks
from jobsvc.api.guard import Context
from jobsvc.api.lifetime import Lifetime
from jobsvc.domain.errors import JobNotFound, QueueNotFound
from jobsvc.domain.job import AttemptRecord, Job, JobState
from jobsvc.domain.owner import Owner, check_owner
from jobsvc.domain.wait_reason import WaitReason, wait_reason
from jobsvc.event_loop.time_slice import TimeSlice
from jobsvc.jobs.create import Creation
from jobsvc.jobs.followers import Follower, Hub
from jobsvc.queues.catalog import Catalog
from jobsvc.settings import Settings
from jobsvc.store.store import Store
from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceServicer

_MAX_IDS = 1000
_MAX_BATCH = 1000
#: Clients take 4 MiB if they are not told otherwise.
_MAX_ANSWER_BYTES = 4 * 1024 * 1024
#: Jobs read in one go: the loop stays free, and memory bounded, when a stream follows a thousand.
_READ_IDS = 100
_DEFAULT_WAIT_SECONDS = 20.0
#: Time to get an answer to the caller before its deadline.
_MARGIN_SECONDS = 0.5


class JobService(JobServiceServicer):
    """Creates, reads and follows jobs."""

    def __init__(
        self,
        store: Store,
        catalog: Catalog,
        creation: Creation,
        hub: Hub,
        identity: Identity,
        lifetime: Lifetime,
        settings: Settings,
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._creation = creation
        self._hub = hub
        self._identity = identity
        self._lifetime = lifetime
        self._settings = settings
        self._reader = RequestReader(settings.max_payload_bytes)

    async def CreateJob(
        self, request: pb.CreateJobRequest, context: Context
    ) -> pb.CreateJobResponse:
        caller = self._caller(context)
        asked = self._reader.read(request)
        if request.validate_only:
            return previewed(*await self._creation.preview([asked], caller))
        return created(await self._creation.create(asked, caller))

    async def BatchCreateJobs(
        self, request: pb.BatchCreateJobsRequest, context: Context
    ) -> pb.BatchCreateJobsResponse:
        caller = self._caller(context)
        checks = RequestChecks()
        checks.count("requests", request.requests, 1, _MAX_BATCH)
        only_checked = {item.validate_only for item in request.requests}
        if len(only_checked) > 1:
            checks.add("requests", "validate_only must be the same in all of them")
        checks.raise_if_violated()
        asked = []
        time_slice = await TimeSlice.after_decoding(request.requests)
        for index, item in enumerate(request.requests):
            asked.append(self._reader.read(item, index))
            if time_slice.used_up:
                await time_slice.yield_()
        if only_checked == {True}:
            answers = await self._creation.preview(asked, caller)
            response = pb.BatchCreateJobsResponse(responses=[previewed(a) for a in answers])
            if response.ByteSize() > _MAX_ANSWER_BYTES:
                shorten(response)
            return response
        answers = await self._creation.create_all(asked, caller)
        response, size_bytes = pb.BatchCreateJobsResponse(), 0
        for run in runs(answers):
            size_bytes += write_run(response, run)
            if time_slice.used_up:
                await time_slice.yield_()
        if size_bytes > _MAX_ANSWER_BYTES:
            shorten(response)
        return response

    async def GetJob(self, request: pb.GetJobRequest, context: Context) -> pb.GetJobResponse:
        caller = self._caller(context)
        checks = RequestChecks()
        job_id = checks.uuid("job_id", request.job_id)
        full = view_is_full(checks, request.view)
        check_encoding(checks, request.payload_encoding)
        checks.raise_if_violated()
        job = await self._read(job_id, caller, full)
        reason = await self._wait_reason(job)
        attempts = await self._attempts(job) if full else ()
        response = pb.GetJobResponse()
        write_job(response.job, job, full, request.payload_encoding, reason, attempts)
        return response

    async def WaitJob(self, request: pb.WaitJobRequest, context: Context) -> pb.WaitJobResponse:
        caller = self._caller(context)
        checks = RequestChecks()
        job_id = checks.uuid("job_id", request.job_id)
        full = view_is_full(checks, request.view)
        check_encoding(checks, request.payload_encoding)
        seconds = (
            checks.seconds("timeout", request.timeout, 0, 60)
            if request.HasField("timeout")
            else _DEFAULT_WAIT_SECONDS
        )
        checks.raise_if_violated()
        remaining = context.time_remaining()
        if remaining is not None:
            seconds = min(seconds, max(remaining - _MARGIN_SECONDS, 0))
        after = request.after_version if request.HasField("after_version") else None
        with self._hub.follow([job_id]) as follower:
            job = await self._read(job_id, caller, full)
            try:
                async with asyncio.timeout(seconds):
                    while not _is_over(job, after):
                        follower.seen[job_id] = job.status.version
                        await follower.changed()
                        job = await self._read(job_id, caller, full)
            except TimeoutError:
                pass  # Not an error: the job as it is.
        reason = await self._wait_reason(job)
        response = pb.WaitJobResponse()
        write_job(response.job, job, full, request.payload_encoding, reason)
        return response

    # Writes by itself, which spares each stream two generators.
    async def StreamJobStatus(  # type: ignore[override]
        self, request: pb.StreamJobStatusRequest, context: Context
    ) -> None:
        caller = self._caller(context)
        checks = RequestChecks()
        full = view_is_full(checks, request.view)
        check_encoding(checks, request.payload_encoding)
        beat = (
            checks.seconds("heartbeat_interval", request.heartbeat_interval, 5, 300)
            if request.HasField("heartbeat_interval")
            else self._settings.heartbeat_interval_seconds
        )
        checks.raise_if_violated()
        ids = job_ids(request.job_ids, "job_ids", _MAX_IDS)
        # Subscribe before reading: what changes in between is then read again.
        with self._hub.follow(ids) as follower:
            # Not by a name: the stream would hold the jobs until it ends.
            await self._tell(
                context,
                follower,
                ids,
                full,
                request.payload_encoding,
                await self._first_look(ids, caller, full),
            )
            await context.write(pb.StreamJobStatusResponse(synced=pb.StreamSynced()))
            while follower.seen:
                try:
                    # Thousands of streams that were opened at once are not to beat at once.
                    async with asyncio.timeout(beat * random.uniform(0.8, 1.0)):
                        changed = await follower.changed()
                except TimeoutError:
                    now = Timestamp()
                    now.GetCurrentTime()
                    heartbeat = job_pb2.StreamHeartbeat(server_time=now)
                    await context.write(pb.StreamJobStatusResponse(heartbeat=heartbeat))
                    continue
                await self._tell(context, follower, changed, full, request.payload_encoding)

    def _caller(self, context: Context) -> Owner:
        self._lifetime.check()
        return self._identity.caller(context.invocation_metadata() or ())

    async def _first_look(
        self, ids: Sequence[str], caller: Owner, full: bool
    ) -> Mapping[str, Job] | None:
        """Checks that all jobs are there and the caller's; answers with them if they are few."""
        at_once = len(ids) <= _READ_IDS
        for start in range(0, len(ids), _READ_IDS):
            part = ids[start : start + _READ_IDS]
            jobs = await self._store.shared_reads.read(part, False, full and at_once)
            for job_id in part:
                if job_id not in jobs:
                    raise JobNotFound(job_id)
                check_owner(caller, jobs[job_id].owner, job_id)
        return jobs if at_once else None

    async def _tell(
        self,
        context: Context,
        follower: Follower,
        ids: Sequence[str],
        full: bool,
        encoding: int,
        jobs: Mapping[str, Job] | None = None,
    ) -> None:
        """Sends how jobs are now, unless that was seen before; `jobs` if they were just read."""
        for start in range(0, len(ids), _READ_IDS):
            part = ids[start : start + _READ_IDS]
            found = jobs or await self._store.shared_reads.read(part, False, full)
            for job_id in part:
                job = found.get(job_id)
                if job is None:
                    follower.seen.pop(job_id, None)  # Removed since: there is no more to say.
                elif job.status.version > follower.seen.get(job_id, job.status.version):
                    await context.write(self._update(follower, job, full, encoding))

    def _update(
        self, follower: Follower, job: Job, full: bool, encoding: int
    ) -> pb.StreamJobStatusResponse:
        if job.status.state.ended:
            follower.seen.pop(job.id, None)
        else:
            follower.seen[job.id] = job.status.version
        response = pb.StreamJobStatusResponse()
        response.update.job_id = job.id
        response.update.queue = job.queue
        write_status(response.update.status, job, full, encoding)
        return response

    async def _read(self, job_id: str, caller: Owner, full: bool) -> Job:
        job = (await self._store.shared_reads.read([job_id], full, full)).get(job_id)
        if job is None:
            raise JobNotFound(job_id)
        check_owner(caller, job.owner, job.id)
        return job

    async def _wait_reason(self, job: Job) -> WaitReason:
        if job.status.state is not JobState.PENDING:
            return WaitReason.UNSPECIFIED
        try:
            paused = (await self._catalog.queue(job.queue)).paused
        except QueueNotFound:
            paused = False
        return wait_reason(job, paused, *await self._store.queues.count_workers(job.queue))

    async def _attempts(self, job: Job) -> list[AttemptRecord]:
        """The last ten attempts: those before, and the one that the status tells of."""
        status = job.status
        if not status.attempt:
            return []
        past = (
            await self._store.jobs.read_attempts(job.id)
            if status.attempt > 1 or (status.state is JobState.PENDING)
            else []
        )
        if past and past[0].attempt == status.attempt:
            return past
        last = AttemptRecord(
            status.attempt,
            status.worker_id,
            status.start_time,
            status.end_time,
            status.error if status.state.ended else None,
        )
        return [last, *past][:10]


def _is_over(job: Job, after_version: int | None) -> bool:
    if job.status.state.ended:
        return True
    return after_version is not None and job.status.version > after_version
