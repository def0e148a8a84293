"""WorkerService: hands jobs to workers, by unary calls here and by the stream in work_stream.py."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from jobsvc.api.auth import check_works_on, current_service, own_worker_id
from jobsvc.api.bounds import MAX_LEASES_BYTES
from jobsvc.api.byte_budget import (
    ANSWER_SECONDS,
    REQUEST_SECONDS,
    ExpectedSize,
    current_charge,
)
from jobsvc.api.convert import leases as convert
from jobsvc.api.convert.jobs import check_encoding
from jobsvc.api.convert.request_checks import RequestChecks
from jobsvc.api.convert.times import duration
from jobsvc.api.convert.work_frames import write_long_input, write_some
from jobsvc.api.guard import Context
from jobsvc.api.outcomes import Outcomes
from jobsvc.api.work_stream import WorkStream
from jobsvc.api.work_subscriber import WorkSubscriber
from jobsvc.dispatch.dispatcher import Dispatcher
from jobsvc.dispatch.lease_duration import LeaseDuration
from jobsvc.dispatch.redelivery import Redelivery
from jobsvc.dispatch.unary_leases import UnaryLeases
from jobsvc.domain.errors import DatabaseUnavailable, RateLimited
from jobsvc.domain.lease import LeasedJob, LeaseId
from jobsvc.domain.limits import MAX_WORKER_QUEUES
from jobsvc.event_loop.time_slice import TimeSlice
from jobsvc.settings import Settings
from jobsvc.v1 import worker_service_pb2 as pb
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceServicer

_MAX_LEASES = 100
_MARGIN_SECONDS = 0.5
#: Time that a response needs to arrive, about.
_ARRIVAL_SECONDS = 0.05


class WorkerService(WorkerServiceServicer):
    """Leases, extensions and outcomes."""

    def __init__(
        self,
        subscriber: WorkSubscriber,
        dispatcher: Dispatcher,
        unary_leases: UnaryLeases,
        lease_duration: LeaseDuration,
        redelivery: Redelivery,
        outcomes: Outcomes,
        settings: Settings,
    ) -> None:
        self._subscriber = subscriber
        self._dispatcher = dispatcher
        self._unary_leases = unary_leases
        self._lease_duration = lease_duration
        self._redelivery = redelivery
        self._outcomes = outcomes
        self._settings = settings
        #: Of the inputs of the jobs that a call leases.
        self._expected_size = ExpectedSize()

    # Reads and writes at its own pace, which the generated type of the method does not know.
    async def Work(  # type: ignore[override]
        self, requests: AsyncIterator[pb.WorkRequest], context: Context
    ) -> None:
        await WorkStream(
            self._subscriber, self._dispatcher, self._outcomes, self._redelivery, self._settings
        ).serve(context)

    async def LeaseJobs(
        self, request: pb.LeaseJobsRequest, context: Context
    ) -> pb.LeaseJobsResponse:
        checks = RequestChecks()
        checks.count("queues", request.queues, 1, MAX_WORKER_QUEUES)
        for index, name in enumerate(request.queues):
            checks.queue(f"queues[{index}]", name)
        max_jobs = checks.number("max_jobs", request.max_jobs, 0, _MAX_LEASES) or 1
        worker = convert.seen_worker(checks, "worker", request.worker, request.queues, max_jobs)
        asked = convert.lease_seconds(checks, "lease_duration", request)
        wait = checks.seconds("wait", request.wait, 0, 60) if request.HasField("wait") else 0.0
        check_encoding(checks, request.payload_encoding)
        checks.raise_if_violated()
        check_works_on(request.queues)
        arrival_seconds = min(_ARRIVAL_SECONDS, (context.time_remaining() or 0.0) / 4)
        queues = list(dict.fromkeys(request.queues))
        # A response carries one duration: the shortest of the queues asked.
        seconds = min([await self._lease_duration.seconds(queue, asked) for queue in queues])
        charge = current_charge.get()
        await charge.reserve(self._expected_size.bytes, ANSWER_SECONDS)
        jobs = await self._unary_leases.lease_ready(worker, queues, max_jobs, seconds)
        waited = not jobs and wait > 0
        if waited:
            charge.settle(0)
            remaining = context.time_remaining()
            if remaining is not None:
                wait = min(wait, max(remaining - _MARGIN_SECONDS, 0))
            jobs = await self._unary_leases.wait_for_jobs(worker, queues, max_jobs, seconds, wait)
        try:
            size = min(sum(len(job.input or "") for job in jobs), MAX_LEASES_BYTES)
            self._expected_size.saw(size)
            if waited:
                # Not for long: the leases run.
                await charge.reserve(size, REQUEST_SECONDS)
            response, rest = await _response(jobs, seconds, request.payload_encoding)
            await self._redelivery.redeliver_now(rest, unsent=True)
            remaining = context.time_remaining()
            if remaining is not None and remaining < arrival_seconds:
                # It would hardly arrive.
                self._redelivery.schedule([job.id for job in jobs], unsent=True)
                return pb.LeaseJobsResponse(expires_in=duration(seconds))
            return response
        except (asyncio.CancelledError, DatabaseUnavailable, RateLimited):
            self._redelivery.schedule([job.id for job in jobs], unsent=True)
            raise
        except BaseException:
            # A job that cannot be written must not come back forever, so this redelivery counts.
            self._redelivery.schedule([job.id for job in jobs])
            raise

    async def ExtendLeases(
        self, request: pb.ExtendLeasesRequest, context: Context
    ) -> pb.ExtendLeasesResponse:
        worker_id = own_worker_id(request.worker_id) if request.worker_id else None
        extensions = convert.extensions(request, worker_id, self._settings.max_batch_items)
        if worker_id is None and (service := current_service()):
            foreign = await self._outcomes.not_held_by(service, [e.id for e in extensions if e])
            extensions = [None if e and e.id in foreign else e for e in extensions]
        return await self._outcomes.extend(request, extensions)

    async def ReportOutcomes(
        self, request: pb.ReportOutcomesRequest, context: Context
    ) -> pb.ReportOutcomesResponse:
        checks = RequestChecks()
        checks.text("worker_id", request.worker_id, 128)
        lease_ids = convert.reported_leases(request)
        checks.count("outcomes", lease_ids, 1, self._settings.max_batch_items)
        for index, item in enumerate(request.outcomes):
            checks.text(f"outcomes[{index}].lease_id", item.lease_id, 128, 1)
        for index, lease_id in enumerate(request.succeeded_lease_ids):
            checks.text(f"succeeded_lease_ids[{index}]", lease_id, 128, 1)
        checks.raise_if_violated()
        if request.worker_id:
            return await self._outcomes.report(request, own_worker_id(request.worker_id))
        return await self._outcomes.report(request, "", service=current_service())


async def _response(
    jobs: Sequence[LeasedJob], seconds: float, encoding: int
) -> tuple[pb.LeaseJobsResponse, list[LeaseId]]:
    """The response with leases of one duration, and the leases that do not fit into it. One lease
    always fits."""
    response = pb.LeaseJobsResponse(expires_in=duration(seconds))
    time_slice, left = TimeSlice(), MAX_LEASES_BYTES
    while jobs:
        part = pb.LeaseJobsResponse()
        count = write_some(part, jobs, encoding)
        await write_long_input(part, jobs[0], encoding)
        left -= part.ByteSize()
        if left < 0 and response.leases:
            break
        response.MergeFrom(part)
        jobs = jobs[count:]
        if time_slice.used_up:
            await time_slice.yield_()
    return response, [job.id for job in jobs]
