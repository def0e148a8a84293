"""QueueService: declares and inspects queues."""

from jobsvc.api.convert.queues import queue_change, queue_message, stats_message
from jobsvc.api.convert.request_checks import RequestChecks
from jobsvc.api.guard import Context
from jobsvc.api.lifetime import Lifetime
from jobsvc.domain.errors import EtagMismatch, PageTokenInvalid, QueueNotFound
from jobsvc.domain.queue import Queue, QueuePolicy
from jobsvc.event_loop.time_slice import TimeSlice
from jobsvc.queues.catalog import Catalog
from jobsvc.store.hints import Hints
from jobsvc.store.store import Store
from jobsvc.v1 import queue_service_pb2 as pb
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceServicer

_DEFAULT_PAGE = 50
_MAX_PAGE = 1000
#: Schemas may be large, and clients take 4 MiB if they are not told otherwise.
_MAX_PAGE_BYTES = 3 * 1024 * 1024
_MAX_NAMES = 1000


class QueueService(QueueServiceServicer):
    """Queues, for operators and for workers that declare theirs."""

    def __init__(self, store: Store, catalog: Catalog, hints: Hints, lifetime: Lifetime) -> None:
        self._store = store
        self._catalog = catalog
        self._hints = hints
        self._lifetime = lifetime

    async def GetQueue(self, request: pb.GetQueueRequest, context: Context) -> pb.GetQueueResponse:
        self._lifetime.check()
        checks = RequestChecks()
        checks.queue("name", request.name)
        checks.raise_if_violated()
        queue = (await self._store.queues.read([request.name])).get(request.name)
        if queue is None:
            raise QueueNotFound(request.name)
        return pb.GetQueueResponse(queue=queue_message(queue))

    async def ListQueues(
        self, request: pb.ListQueuesRequest, context: Context
    ) -> pb.ListQueuesResponse:
        self._lifetime.check()
        checks = RequestChecks()
        checks.number("page_size", request.page_size, 0, 2**31 - 1)
        checks.text("page_token", request.page_token, 1024)
        checks.raise_if_violated()
        # The token is the last name of the page before, so it stays good whatever changes.
        names = RequestChecks()
        if request.page_token:
            names.queue("page_token", request.page_token)
        if names.violations:
            raise PageTokenInvalid("page_token was not made by this server")
        size = min(request.page_size or _DEFAULT_PAGE, _MAX_PAGE)
        queues = await self._store.queues.list_after(request.page_token, size + 1)
        response = pb.ListQueuesResponse()
        time_slice, size_bytes = TimeSlice(), 0
        for queue in queues[:size]:
            message = queue_message(queue)
            size_bytes += message.ByteSize()
            if size_bytes > _MAX_PAGE_BYTES and response.queues:
                break
            response.queues.append(message)
            if time_slice.used_up:
                await time_slice.yield_()
        if len(response.queues) < len(queues):
            response.next_page_token = response.queues[-1].name
        return response

    async def UpdateQueue(
        self, request: pb.UpdateQueueRequest, context: Context
    ) -> pb.UpdateQueueResponse:
        self._lifetime.check()
        mask = request.update_mask if request.HasField("update_mask") else None
        change = queue_change(request.queue, mask)

        def checked(queue: Queue) -> QueuePolicy:
            if request.queue.etag and request.queue.etag != queue.etag:
                raise EtagMismatch(
                    "the queue has changed since its etag was read", queue=queue.name
                )
            return change(queue)

        name = request.queue.name
        queue = await self._store.queues.update(name, request.allow_missing, checked)
        if queue is None:
            raise QueueNotFound(name)
        self._hints.tell(declared=[name])
        return pb.UpdateQueueResponse(queue=queue_message(queue))

    async def GetQueueStats(
        self, request: pb.GetQueueStatsRequest, context: Context
    ) -> pb.GetQueueStatsResponse:
        self._lifetime.check()
        checks = RequestChecks()
        checks.count("queues", request.queues, 0, _MAX_NAMES)
        for index, name in enumerate(request.queues):
            checks.queue(f"queues[{index}]", name)
        checks.raise_if_violated()
        counts = await self._store.queues.count(request.queues or None)
        known = {count.name for count in counts}
        for name in request.queues:
            if name not in known:
                raise QueueNotFound(name)
        response, time_slice = pb.GetQueueStatsResponse(), TimeSlice()
        for count in counts:
            response.stats.append(stats_message(count))
            if time_slice.used_up:
                await time_slice.yield_()
        return response
