"""The first frame of `Work`: subscribes the worker, and takes over the leases that it holds."""

import asyncio
from dataclasses import dataclass
from urllib.parse import unquote

from grpc import aio

from jobsvc.api.auth import check_works_on
from jobsvc.api.byte_budget import REQUEST_SECONDS, current_charge
from jobsvc.api.convert.times import duration
from jobsvc.api.convert.work_frames import connected_worker
from jobsvc.api.guard import Context
from jobsvc.api.resume_leases import holds_any, redeliver_unlisted, take_over
from jobsvc.api.work_frame import decode_frame
from jobsvc.dispatch.connected_worker import ConnectedWorker
from jobsvc.dispatch.dispatcher import Dispatcher
from jobsvc.dispatch.lease_duration import LeaseDuration
from jobsvc.dispatch.redelivery import Redelivery
from jobsvc.dispatch.worker_ids import Holding, WorkerIds
from jobsvc.dispatch.worker_log import WorkerLog
from jobsvc.domain.errors import WorkProtocolViolation
from jobsvc.settings import Settings
from jobsvc.store.store import Store
from jobsvc.v1 import worker_service_pb2 as pb


@dataclass(frozen=True, slots=True)
class Subscribed:
    """A worker that has joined the dispatcher, how it wants its jobs, and the response to send."""

    worker: ConnectedWorker
    holding: Holding
    payload_encoding: int
    max_dispatch_leases: int
    response: pb.WorkResponse


class WorkSubscriber:
    """Subscribes workers to the dispatcher of this replica."""

    def __init__(
        self,
        store: Store,
        dispatcher: Dispatcher,
        lease_duration: LeaseDuration,
        redelivery: Redelivery,
        worker_ids: WorkerIds,
        worker_log: WorkerLog,
        server_id: str,
        settings: Settings,
    ) -> None:
        self._store = store
        self._dispatcher = dispatcher
        self._lease_duration = lease_duration
        self._redelivery = redelivery
        self._worker_ids = worker_ids
        self._worker_log = worker_log
        self._server_id = server_id
        self._settings = settings

    async def subscribe(self, context: Context) -> Subscribed:
        """Reads the subscribe frame and lets its worker join; the caller must call `leave`.

        Raises:
            WorkProtocolViolation: the frame is malformed, another one, or does not come.
            RoleRequired: it may not work on one of the queues.
            WorkerIdInUse: another stream has the worker id.
            WorkerReplaced: a later stream of the worker was faster.
            RateLimited: there is no room for the frame.
            QueueLimit: a queue is missing, and there are too many.
            DatabaseUnavailable: the worker has not joined.
        """
        request = await self._read(context)
        worker = connected_worker(request)
        check_works_on(worker.subscription.limits)
        worker.peer = unquote(context.peer())
        holding = await self._worker_ids.take(
            worker.worker_id,
            request.resume_token,
            lambda: holds_any(self._store, worker.worker_id, request.held_lease_ids),
        )
        try:
            response = await self._prepare(request, worker, holding)
            # On its own: while the headers are on their way with a frame, gRPC sends no status.
            await context.send_initial_metadata(())
            # Another stream of this worker may have come meanwhile.
            self._worker_ids.check(holding)
            self._dispatcher.replace(worker.worker_id)
            self._dispatcher.join(worker)
            current_charge.get().settle(0)
        except BaseException:
            self._worker_ids.release(holding)
            raise
        encoding, max_leases = request.payload_encoding, request.max_dispatch_leases
        return Subscribed(worker, holding, encoding, max_leases, response)

    def leave(self, subscribed: Subscribed, error: BaseException | None) -> None:
        """Lets a worker leave whose stream has ended, by `error` unless the worker ended it."""
        self._dispatcher.leave(subscribed.worker, error)
        self._worker_ids.release(subscribed.holding)

    async def _prepare(
        self, request: pb.Subscribe, worker: ConnectedWorker, holding: Holding
    ) -> pb.WorkResponse:
        """Takes over the leases that the worker has, and returns the response."""
        await self._store.queues.declare(list(worker.subscription.limits))
        self._dispatcher.replace(worker.worker_id)
        statuses = await take_over(self._store, worker, request.held_lease_ids)
        self._worker_log.forgot(
            worker,
            await redeliver_unlisted(
                self._store, self._redelivery, worker.worker_id, worker.leases
            ),
        )
        asked = worker.subscription.lease_seconds
        lengths = [await self._lease_duration.seconds(q, asked) for q in worker.subscription.limits]
        worker.longest_lease_seconds = max(lengths)
        # At most a third of the shortest lease.
        extend_seconds = min(self._settings.extend_interval_seconds, min(lengths) / 3)
        return pb.WorkResponse(
            subscribed=pb.Subscribed(
                server_id=self._server_id,
                extend_interval=duration(extend_seconds),
                heartbeat_interval=duration(self._settings.heartbeat_interval_seconds),
                held_leases=statuses,
                limits=pb.ServerLimits(
                    max_payload_bytes=self._settings.max_payload_bytes,
                    max_message_bytes=self._settings.max_message_bytes,
                    max_batch_items=self._settings.max_batch_items,
                ),
                takes_succeeded_lease_ids=True,
                resume_token=holding.token,
            )
        )

    async def _read(self, context: Context) -> pb.Subscribe:
        try:
            async with asyncio.timeout(self._settings.subscribe_seconds):
                data = await context.read()
        except TimeoutError:
            raise WorkProtocolViolation("no subscribe frame arrived in time") from None
        if data is aio.EOF:
            raise WorkProtocolViolation("the first frame must be subscribe")
        await current_charge.get().reserve(len(data), REQUEST_SECONDS)
        frame = await decode_frame(data)
        if not frame.HasField("subscribe"):
            raise WorkProtocolViolation("the first frame must be subscribe")
        return frame.subscribe
