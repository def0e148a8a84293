"""The client for code that blocks. Generated from async_queue_calls.py: do not edit."""

from datetime import datetime
from typing import Unpack

from jobsvc.client.convert.queue_replies import (
    read_declared,
    read_queue,
    read_stats,
    read_step,
    read_worker,
)
from jobsvc.client.convert.queue_requests import (
    create_queue_request,
    declare_request,
    history_request,
    pause_request,
    stats_request,
)
from jobsvc.client.duration import Duration
from jobsvc.client.queue import Queue, QueueHistoryStep, QueueOptions, QueueStats, Worker
from jobsvc.client.sync_connection import Connection
from jobsvc.v1 import queue_service_pb2 as pb

#: Of one page.
_MAX_ITEMS = 1000


class QueueCalls(Connection):
    """What a client does with queues and workers. `Client` has it."""

    def declare_queue(
        self, name: str, *, keep_newer_schema: bool = False, **options: Unpack[QueueOptions]
    ) -> Queue:
        """Makes a queue, or changes the given options of one that exists.

        With `keep_newer_schema`, for programs that declare a queue whenever they start,
        nothing is changed if the queue has had one of the schemas before and replaced it
        since; the queue that is returned has a warning then.
        """
        request = declare_request(name, options, keep_newer_schema)
        response = self._call("QueueService/UpdateQueue", self._queues.UpdateQueue, request)
        return read_declared(response)

    def create_queue(self, name: str, **options: Unpack[QueueOptions]) -> Queue:
        """Makes a queue that must not exist.

        Raises:
            CallFailed: with reason `QUEUE_EXISTS` if it does.
        """
        request = create_queue_request(name, options)
        response = self._call("QueueService/CreateQueue", self._queues.CreateQueue, request)
        return read_declared(response)

    def get_queue(self, name: str) -> Queue:
        """Returns a queue.

        Raises:
            QueueNotFound: it does not exist.
        """
        request = pb.GetQueueRequest(name=name)
        response = self._call("QueueService/GetQueue", self._queues.GetQueue, request)
        return read_queue(response.queue)

    def queue_stats(self, *queues: str, recent: bool = False) -> list[QueueStats]:
        """Counts the jobs and workers of queues, of all when none is named; with `recent`, also
        what has become of jobs in the last five minutes.

        Raises:
            QueueNotFound: one of them does not exist.
        """
        request = stats_request(queues, recent)
        response = self._call("QueueService/GetQueueStats", self._queues.GetQueueStats, request)
        return [read_stats(stats) for stats in response.stats]

    def queue_history(
        self, queue: str, *, window: Duration | None = None, step: Duration | None = None
    ) -> list[QueueHistoryStep]:
        """Returns what has become of the jobs of a queue, oldest step first: the last hour by
        minutes, or another window of up to a day by steps of whole minutes.

        Raises:
            QueueNotFound: it does not exist.
            InvalidRequest: the window is no multiple of the step, or one is not whole minutes.
        """
        request = history_request(queue, window, step)
        response = self._call("QueueService/GetQueueHistory", self._queues.GetQueueHistory, request)
        return [read_step(found) for found in response.steps]

    def pause_queue(
        self,
        name: str,
        reason: str = "",
        *,
        until: datetime | None = None,
        duration: Duration | None = None,
        etag: str = "",
    ) -> Queue:
        """Stops the dispatch of a queue: until it is resumed, or until a time, or for so long.

        Workers keep what they hold, and jobs are still accepted. Pausing again replaces
        reason and end.

        Raises:
            QueueNotFound: it does not exist.
            InvalidRequest: `until` has passed.
            CallFailed: with reason `ETAG_MISMATCH` if the queue has changed.
            ValueError: both `until` and `duration` are given.
        """
        request = pause_request(name, reason, until, duration, etag)
        response = self._call("QueueService/PauseQueue", self._queues.PauseQueue, request)
        return read_queue(response.queue)

    def resume_queue(self, name: str, *, etag: str = "") -> Queue:
        """Starts the dispatch of a queue again.

        Raises:
            QueueNotFound: it does not exist.
            CallFailed: with reason `ETAG_MISMATCH` if the queue has changed.
        """
        request = pb.ResumeQueueRequest(name=name, etag=etag)
        response = self._call("QueueService/ResumeQueue", self._queues.ResumeQueue, request)
        return read_queue(response.queue)

    def purge_queue(
        self,
        name: str,
        reason: str = "",
        *,
        etag: str = "",
        timeout: float = 600.0,
    ) -> int:
        """Cancels every waiting job of a queue, and returns how many.

        Raises:
            QueueNotFound: it does not exist.
            DeadlineExceeded: `timeout` seconds were not enough; what was cancelled stays so.
            CallFailed: with reason `ETAG_MISMATCH` if the queue has changed.
        """
        request = pb.PurgeQueueRequest(name=name, reason=reason, etag=etag)
        response = self._call("QueueService/PurgeQueue", self._queues.PurgeQueue, request, timeout)
        return response.cancelled_count

    def delete_queue(
        self,
        name: str,
        *,
        force: bool = False,
        etag: str = "",
        timeout: float = 600.0,
    ) -> None:
        """Removes a queue; with `force` also one whose jobs have not ended, and all its jobs.

        Raises:
            QueueNotFound: it does not exist.
            DeadlineExceeded: `timeout` seconds were not enough: call again for the rest.
            CallFailed: with reason `QUEUE_NOT_EMPTY` without `force`, and with
                `ETAG_MISMATCH` if the queue has changed.
        """
        request = pb.DeleteQueueRequest(name=name, force=force, etag=etag)
        self._call("QueueService/DeleteQueue", self._queues.DeleteQueue, request, timeout)

    def list_workers(self, queue: str = "") -> list[Worker]:
        """Returns the workers that were seen in the last minute, of one queue or of all.

        Raises:
            QueueNotFound: the queue does not exist.
        """
        request = pb.ListWorkersRequest(queue=queue, page_size=_MAX_ITEMS)
        workers: list[Worker] = []
        while True:
            page = self._call("QueueService/ListWorkers", self._queues.ListWorkers, request)
            workers += map(read_worker, page.workers)
            if not page.next_page_token:
                return workers
            request.page_token = page.next_page_token

    def drain_worker(self, worker_id: str, reason: str = "") -> None:
        """Lets a worker finish what it holds and take no more, as long as its process lives.

        Raises:
            CallFailed: with reason `WORKER_NOT_FOUND` if no server has seen it lately.
        """
        request = pb.DrainWorkerRequest(worker_id=worker_id, reason=reason)
        self._call("QueueService/DrainWorker", self._queues.DrainWorker, request)
