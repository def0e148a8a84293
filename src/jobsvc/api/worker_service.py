"""WorkerService: hands jobs to workers, by unary calls here and by the stream in work_stream.py."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from jobsvc.api.bounds import MAX_LEASES_BYTES
from jobsvc.api.convert import leases as convert
from jobsvc.api.convert.jobs import check_encoding
from jobsvc.api.convert.request_checks import RequestChecks
from jobsvc.api.convert.times import duration
from jobsvc.api.convert.work_frames import write_some
from jobsvc.api.guard import Context
from jobsvc.api.outcomes import Outcomes
from jobsvc.api.work_stream import WorkStream
from jobsvc.dispatch.connected_worker import ConnectedWorker
from jobsvc.dispatch.dispatcher import Dispatcher
from jobsvc.dispatch.subscription import Subscription
from jobsvc.domain.errors import DatabaseUnavailable
from jobsvc.domain.lease import LeasedJob, LeaseId, Slot
from jobsvc.domain.limits import MAX_WORKER_QUEUES
from jobsvc.domain.worker import SeenWorker
from jobsvc.event_loop.time_slice import TimeSlice
from jobsvc.settings import Settings
from jobsvc.store.store import Store
from jobsvc.v1 import worker_service_pb2 as pb
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceServicer

_MAX_LEASES = 100
_MARGIN_SECONDS = 0.5
#: An answer needs about so long to arrive.
_LAST_MOMENT_SECONDS = 0.05


class WorkerService(WorkerServiceServicer):
    """Leases, extensions and outcomes."""

    def __init__(
        self,
        store: Store,
        dispatcher: Dispatcher,
        outcomes: Outcomes,
        server_id: str,
        settings: Settings,
    ) -> None:
        self._store = store
        self._dispatcher = dispatcher
        self._outcomes = outcomes
        self._server_id = server_id
        self._settings = settings

    # Reads and writes at its own pace, which the generated type of the method does not know.
    async def Work(  # type: ignore[override]
        self, requests: AsyncIterator[pb.WorkRequest], context: Context
    ) -> None:
        await WorkStream(
            self._store, self._dispatcher, self._outcomes, self._server_id, self._settings
        ).hold(context)

    async def LeaseJobs(
        self, request: pb.LeaseJobsRequest, context: Context
    ) -> pb.LeaseJobsResponse:
        checks = RequestChecks()
        checks.count("queues", request.queues, 1, MAX_WORKER_QUEUES)
        for index, name in enumerate(request.queues):
            checks.queue(f"queues[{index}]", name)
        most = checks.number("max_jobs", request.max_jobs, 0, _MAX_LEASES) or 1
        worker = convert.seen_worker(checks, "worker", request.worker, request.queues, most)
        asked = convert.lease_seconds(checks, "lease_duration", request)
        wait = checks.seconds("wait", request.wait, 0, 60) if request.HasField("wait") else 0.0
        check_encoding(checks, request.payload_encoding)
        checks.raise_if_violated()
        patience = context.time_remaining()
        last_moment = min(_LAST_MOMENT_SECONDS, (patience or 0.0) / 4)
        queues = list(dict.fromkeys(request.queues))
        # One answer carries one duration: the shortest of the queues asked.
        seconds = min([await self._dispatcher.lease_seconds(queue, asked) for queue in queues])
        self._dispatcher.presence.saw(worker)
        jobs = await self._lease_now(worker, queues, most, seconds)
        if not jobs and wait:
            remaining = context.time_remaining()
            if remaining is not None:
                wait = min(wait, max(remaining - _MARGIN_SECONDS, 0))
            jobs = await self._lease_later(worker, queues, most, seconds, wait)
        returns = self._dispatcher.returns
        try:
            response, rest = await _answer(jobs, seconds, request.payload_encoding)
            await returns.give_back(rest, unsent=True)
            remaining = context.time_remaining()
            if remaining is not None and remaining < last_moment:
                # It would hardly arrive.
                returns.put_back([job.id for job in jobs], unsent=True)
                return pb.LeaseJobsResponse(expires_in=duration(seconds))
            return response
        except (asyncio.CancelledError, DatabaseUnavailable):
            returns.put_back([job.id for job in jobs], unsent=True)
            raise
        except BaseException:
            # What cannot be written is not to come back forever.
            returns.put_back([job.id for job in jobs])
            raise

    async def ExtendLeases(
        self, request: pb.ExtendLeasesRequest, context: Context
    ) -> pb.ExtendLeasesResponse:
        wishes = convert.extensions(
            request, request.worker_id or None, self._settings.max_batch_items
        )
        return await self._outcomes.extend(request, wishes)

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
        return await self._outcomes.report(request, request.worker_id)

    async def _lease_now(
        self, worker: SeenWorker, queues: list[str], most: int, seconds: float
    ) -> list[LeasedJob]:
        jobs: list[LeasedJob] = []
        for queue in queues:
            slots = [Slot(worker.worker_id, seconds)] * (most - len(jobs))
            if slots:
                try:
                    jobs += await self._dispatcher.calls.lease(queue, slots)
                except BaseException:
                    self._dispatcher.returns.put_back([job.id for job in jobs], unsent=True)
                    raise
        return jobs

    async def _lease_later(
        self, worker: SeenWorker, queues: list[str], most: int, seconds: float, wait: float
    ) -> list[LeasedJob]:
        """Waits for the first job in line with the workers that have a stream."""
        subscription = Subscription(
            worker.worker_id, dict.fromkeys(queues, 0), most, lease_seconds=seconds, unary=True
        )
        stream = ConnectedWorker(subscription, worker)
        jobs: list[LeasedJob] = []
        delivered = False
        self._dispatcher.join(stream)
        try:
            try:
                async with asyncio.timeout(wait):
                    await stream.changed.wait()
            except TimeoutError:
                pass
            # No more from now on; what is under way still comes.
            subscription.window = 0
            while subscription.reserved and stream.ended is None:
                stream.changed.clear()
                await stream.changed.wait()
            jobs = stream.take(len(stream.undelivered))
            delivered = True
        finally:
            self._dispatcher.leave(stream)
            if not delivered:
                lease_ids = [job.id for job in stream.undelivered]
                self._dispatcher.returns.put_back(lease_ids, unsent=True)
        return jobs


async def _answer(
    jobs: Sequence[LeasedJob], seconds: float, encoding: int
) -> tuple[pb.LeaseJobsResponse, list[LeaseId]]:
    """The answer with leases of one length, and those that do not fit into it. One always does."""
    response = pb.LeaseJobsResponse(expires_in=duration(seconds))
    time_slice, left = TimeSlice(), MAX_LEASES_BYTES
    while jobs:
        part = pb.LeaseJobsResponse()
        count = write_some(part, jobs, encoding)
        left -= part.ByteSize()
        if left < 0 and response.leases:
            break
        response.MergeFrom(part)
        jobs = jobs[count:]
        if time_slice.used_up:
            await time_slice.yield_()
    return response, [job.id for job in jobs]
