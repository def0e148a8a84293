"""QueueService: declares, inspects and steers queues; lists and drains workers."""

import asyncio

from google.protobuf.field_mask_pb2 import FieldMask

from jobsvc.api.auth import check_declares
from jobsvc.api.bounds import MAX_PAGE_BYTES, MAX_SCHEMAS_BYTES
from jobsvc.api.byte_budget import ANSWER_SECONDS, current_charge
from jobsvc.api.convert.queue_control import check_named, read_pause
from jobsvc.api.convert.queue_history import history_step, read_history_request
from jobsvc.api.convert.queues import (
    QueueChange,
    queue_change,
    queue_message,
    stats_message,
    write_warnings,
)
from jobsvc.api.convert.request_checks import QUEUE_NAME, RequestChecks
from jobsvc.api.convert.workers import (
    check_drain,
    page_token,
    read_page_token,
    worker_message,
)
from jobsvc.api.guard import Context
from jobsvc.api.pages import fill_page, items_per_page
from jobsvc.dispatch.retirement import Retirement
from jobsvc.domain.errors import PageTokenInvalid, QueueNotFound
from jobsvc.domain.queue import Queue, QueuePolicy
from jobsvc.domain.queue_history import RECENT_MINUTES, steps_of
from jobsvc.event_loop.time_slice import TimeSlice
from jobsvc.queues.catalog import Catalog
from jobsvc.queues.control import QueueControl
from jobsvc.queues.update_warnings import warnings_of
from jobsvc.store.hints import Hints
from jobsvc.store.store import Store
from jobsvc.v1 import queue_service_pb2 as pb
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceServicer

_MAX_NAMES = 1000
#: What a minute of a history takes, as it is read and as it is answered with.
_MINUTE_BYTES = 2048


class QueueService(QueueServiceServicer):
    """Queues, for operators and for workers that declare their own."""

    def __init__(
        self,
        store: Store,
        hints: Hints,
        catalog: Catalog,
        control: QueueControl,
        retirement: Retirement,
    ) -> None:
        self._store = store
        self._control = control
        self._retirement = retirement
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
        check_declares(request.queue.name)
        mask = request.update_mask if request.HasField("update_mask") else None
        change = await self._change(request.queue, mask)

        def checked(queue: Queue) -> QueuePolicy:
            queue.check_etag(request.queue.etag)
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

    async def CreateQueue(
        self, request: pb.CreateQueueRequest, context: Context
    ) -> pb.CreateQueueResponse:
        change = await self._change(request.queue, None)
        queue = await self._control.create(request.queue.name, change.apply)
        response = pb.CreateQueueResponse(queue=await queue_message(queue))
        write_warnings(response, change.warnings)
        return response

    async def _change(self, queue: pb.Queue, mask: FieldMask | None) -> QueueChange:
        if queue.HasField("input_schema") or queue.HasField("output_schema"):
            async with self._compiling:
                return await asyncio.to_thread(queue_change, queue, mask)
        return queue_change(queue, mask)

    async def PauseQueue(
        self, request: pb.PauseQueueRequest, context: Context
    ) -> pb.PauseQueueResponse:
        end_time, seconds = read_pause(request)
        queue = await self._control.pause(
            request.name, request.reason, end_time, seconds, request.etag
        )
        return pb.PauseQueueResponse(queue=await queue_message(queue))

    async def ResumeQueue(
        self, request: pb.ResumeQueueRequest, context: Context
    ) -> pb.ResumeQueueResponse:
        check_named(request)
        queue = await self._control.resume(request.name, request.etag)
        return pb.ResumeQueueResponse(queue=await queue_message(queue))

    async def PurgeQueue(
        self, request: pb.PurgeQueueRequest, context: Context
    ) -> pb.PurgeQueueResponse:
        check_named(request)
        count = await self._control.purge(request.name, request.reason, request.etag)
        return pb.PurgeQueueResponse(cancelled_count=count)

    async def DeleteQueue(
        self, request: pb.DeleteQueueRequest, context: Context
    ) -> pb.DeleteQueueResponse:
        check_named(request)
        await self._control.delete(request.name, request.force, request.etag)
        return pb.DeleteQueueResponse()

    async def ListWorkers(
        self, request: pb.ListWorkersRequest, context: Context
    ) -> pb.ListWorkersResponse:
        checks = RequestChecks()
        if request.queue:
            checks.queue("queue", request.queue)
        size = items_per_page(checks, request.page_size, request.page_token)
        checks.raise_if_violated()
        after = read_page_token(request.page_token)
        if request.queue and not await self._store.queues.read([request.queue], False):
            raise QueueNotFound(request.queue)
        await current_charge.get().reserve(MAX_PAGE_BYTES, ANSWER_SECONDS)
        workers = await self._store.workers.list_after(request.queue or None, *after, size + 1)
        response = pb.ListWorkersResponse()
        count = await fill_page(response.workers, workers[:size], worker_message)
        if count < len(workers):
            response.next_page_token = page_token(workers[count - 1])
        return response

    async def DrainWorker(
        self, request: pb.DrainWorkerRequest, context: Context
    ) -> pb.DrainWorkerResponse:
        check_drain(request)
        await self._retirement.drain(request.worker_id, request.reason)
        return pb.DrainWorkerResponse()

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
        recent = {}
        if request.with_recent:
            recent = await self._store.queue_history.recent(request.queues or None, RECENT_MINUTES)
        response, time_slice = pb.GetQueueStatsResponse(), TimeSlice()
        for count in counts:
            message = stats_message(count)
            if count.name in recent:
                end, minutes = recent[count.name]
                (step,) = steps_of(minutes, end, RECENT_MINUTES, RECENT_MINUTES)
                message.recent.CopyFrom(history_step(step))
            response.stats.append(message)
            if time_slice.used_up:
                await time_slice.yield_()
        return response

    async def GetQueueHistory(
        self, request: pb.GetQueueHistoryRequest, context: Context
    ) -> pb.GetQueueHistoryResponse:
        window, step = read_history_request(request)
        await current_charge.get().reserve(window * _MINUTE_BYTES, ANSWER_SECONDS)
        end, minutes = await self._store.queue_history.read(request.queue, window)
        response, time_slice = pb.GetQueueHistoryResponse(), TimeSlice()
        for found in steps_of(minutes, end, window, step):
            response.steps.append(history_step(found))
            if time_slice.used_up:
                await time_slice.yield_()
        return response
