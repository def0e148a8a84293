"""QueueService: declares and inspects queues."""

import asyncio

from jobsvc.api.bounds import MAX_PAGE_BYTES, MAX_SCHEMAS_BYTES
from jobsvc.api.byte_budget import ANSWER_SECONDS, current_charge
from jobsvc.api.convert.queues import (
    queue_change,
    queue_message,
    stats_message,
    write_warnings,
)
from jobsvc.api.convert.request_checks import QUEUE_NAME, RequestChecks
from jobsvc.api.guard import Context
from jobsvc.api.pages import fill_page, items_per_page
from jobsvc.domain.errors import EtagMismatch, PageTokenInvalid, QueueNotFound
from jobsvc.domain.queue import Queue, QueuePolicy
from jobsvc.event_loop.time_slice import TimeSlice
from jobsvc.queues.catalog import Catalog
from jobsvc.queues.update_warnings import warnings_of
from jobsvc.store.hints import Hints
from jobsvc.store.store import Store
from jobsvc.v1 import queue_service_pb2 as pb
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceServicer

_MAX_NAMES = 1000


class QueueService(QueueServiceServicer):
    """Queues, for operators and for workers that declare their own."""

    def __init__(self, store: Store, hints: Hints, catalog: Catalog) -> None:
        self._store = store
        self._hints = hints
        #: Held to compile schemas: one thread at a time leaves time for the event loop.
        self._compiling = asyncio.Lock()
        self._catalog = catalog

    async def GetQueue(self, request: pb.GetQueueRequest, context: Context) -> pb.GetQueueResponse:
        checks = RequestChecks()
        checks.queue("name", request.name)
        checks.raise_if_violated()
        await current_charge.get().reserve(MAX_SCHEMAS_BYTES, ANSWER_SECONDS)
        queue = (await self._store.queues.read([request.name])).get(request.name)
        if queue is None:
            raise QueueNotFound(request.name)
        return pb.GetQueueResponse(queue=await queue_message(queue))

    async def ListQueues(
        self, request: pb.ListQueuesRequest, context: Context
    ) -> pb.ListQueuesResponse:
        checks = RequestChecks()
        size = items_per_page(checks, request.page_size, request.page_token)
        checks.raise_if_violated()
        # The token is the last name of the page before, so it stays good whatever changes.
        if request.page_token and not QUEUE_NAME.fullmatch(request.page_token):
            raise PageTokenInvalid("page_token was not made by this server")
        await current_charge.get().reserve(MAX_PAGE_BYTES, ANSWER_SECONDS)
        queues, more = await self._store.queues.list_after(request.page_token, size, MAX_PAGE_BYTES)
        response = pb.ListQueuesResponse()
        count = await fill_page(response.queues, queues, queue_message)
        if more or count < len(queues):
            response.next_page_token = queues[count - 1].name
        return response

    async def UpdateQueue(
        self, request: pb.UpdateQueueRequest, context: Context
    ) -> pb.UpdateQueueResponse:
        mask = request.update_mask if request.HasField("update_mask") else None
        if request.queue.HasField("input_schema") or request.queue.HasField("output_schema"):
            async with self._compiling:
                change = await asyncio.to_thread(queue_change, request.queue, mask)
        else:
            change = queue_change(request.queue, mask)

        def checked(queue: Queue) -> QueuePolicy:
            if request.queue.etag and request.queue.etag != queue.etag:
                raise EtagMismatch(
                    "the queue has changed since its etag was read", queue=queue.name
                )
            return change.apply(queue)

        name = request.queue.name
        update = await self._store.queues.update(
            name, request.allow_missing, checked, request.keep_newer_schema
        )
        if update is None:
            raise QueueNotFound(name)
        self._hints.tell(declared=[name])
        response = pb.UpdateQueueResponse(queue=await queue_message(update.queue))
        found = await warnings_of(update, self._store.queues, self._catalog)
        write_warnings(response, [*change.warnings, *found])
        return response

    async def GetQueueStats(
        self, request: pb.GetQueueStatsRequest, context: Context
    ) -> pb.GetQueueStatsResponse:
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
