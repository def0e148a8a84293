"""What an operator does with a queue: create, pause, resume, purge, delete."""

from collections.abc import Callable
from datetime import datetime

from jobsvc.domain.errors import QueueBeingDeleted, QueueNotEmpty, QueueNotFound
from jobsvc.domain.queue import Pause, Queue, QueuePolicy, pause_end
from jobsvc.settings import Settings
from jobsvc.store.hints import Hints
from jobsvc.store.queue_control import FIRST_ID, Position, Removed
from jobsvc.store.store import Store
from jobsvc.telemetry.jobs import JobMeasurements
from jobsvc.telemetry.measurements import Measurements

#: Jobs that one statement cancels, and that one looks at.
_MAX_CANCELLED = 1000
_MAX_LOOKED_AT = 5000


class QueueControl:
    """Steers queues, and tells all replicas."""

    def __init__(
        self,
        store: Store,
        hints: Hints,
        settings: Settings,
        measurements: Measurements | None = None,
    ) -> None:
        self._store = store
        self._hints = hints
        self._settings = settings
        self._measured = JobMeasurements(measurements)

    async def create(self, name: str, change: Callable[[Queue], QueuePolicy]) -> Queue:
        """Creates a queue with the policy that `change` makes of the defaults.

        Raises:
            QueueExists: there is one.
            QueueLimit: there are too many.
        """
        queue = await self._store.queues.create(name, change)
        self._hints.tell(declared=[name])
        return queue

    async def pause(
        self,
        name: str,
        reason: str,
        end_time: datetime | None,
        seconds: float | None,
        etag: str,
    ) -> Queue:
        """Stops the dispatch of a queue until a time, for so many seconds, or for good.

        Raises:
            InvalidRequest: `end_time` has passed.
            QueueNotFound, QueueBeingDeleted, EtagMismatch: it cannot be paused.
        """
        return await self._set_pause(
            name, etag, lambda now: Pause(reason, pause_end(end_time, seconds, now))
        )

    async def resume(self, name: str, etag: str) -> Queue:
        """Starts the dispatch of a queue again.

        Raises:
            QueueNotFound, QueueBeingDeleted, EtagMismatch: it cannot be resumed.
        """
        queue = await self._set_pause(name, etag, lambda _: None)
        self._hints.tell(ready=[name])
        return queue

    async def _set_pause(
        self, name: str, etag: str, pause: Callable[[datetime], Pause | None]
    ) -> Queue:
        def change(queue: Queue, now: datetime) -> Pause | None:
            queue.check_etag(etag)
            if queue.deleting:
                raise QueueBeingDeleted(name)
            return pause(now)

        queue = await self._store.queue_control.set_pause(name, change)
        if queue is None:
            raise QueueNotFound(name)
        self._hints.tell(declared=[name])
        return queue

    async def purge(self, name: str, reason: str, etag: str) -> int:
        """Cancels the waiting jobs of a queue, and returns their number. Whoever gives the call up
        leaves the rest as it is.

        Raises:
            QueueNotFound: there is none.
            EtagMismatch: it has changed.
        """
        queue = (await self._store.queues.read([name], with_schemas=False)).get(name)
        if queue is None:
            raise QueueNotFound(name)
        queue.check_etag(etag)
        count, after = 0, None
        while True:
            cancelled = await self._cancel_waiting(name, reason, after)
            count += len(cancelled)
            # Behind the last one: the index still has those that were deleted.
            if len(cancelled) < _MAX_CANCELLED:
                return count
            after = cancelled[-1]

    async def _cancel_waiting(
        self, name: str, reason: str, after: Position | None
    ) -> list[Position]:
        cancelled = await self._store.queue_control.cancel_waiting(
            name, _MAX_CANCELLED, reason, self._settings.failed_retention_seconds, after
        )
        self._measured.cancelled_waiting(name, len(cancelled))
        self._hints.tell([job.job_id for job in cancelled])
        return cancelled

    async def delete(self, name: str, force: bool, etag: str) -> None:
        """Removes a queue; by force with all its jobs.

        Raises:
            QueueNotFound: there is none.
            QueueNotEmpty: it has jobs that have not ended, and there is no force.
            EtagMismatch: it has changed.
        """
        control = self._store.queue_control
        if force:
            if not await control.close(name, lambda queue: queue.check_etag(etag)):
                raise QueueNotFound(name)
            self._hints.tell(declared=[name])
            await self._delete_with_jobs(name)
        elif await control.delete(name, lambda queue: queue.check_etag(etag)):
            self._hints.tell(declared=[name])
        else:
            raise QueueNotFound(name)

    async def _delete_with_jobs(self, name: str) -> None:
        """Removes the jobs of a closed queue, and then the queue."""
        while True:
            while await self._delete_jobs(name):
                pass
            # Else there are jobs whose creation had begun before the queue was closed.
            if await self.delete_if_empty(name):
                return

    async def _delete_jobs(self, name: str) -> int:
        """Removes the jobs of a queue, and returns how many were left."""
        after: str | None = FIRST_ID
        left_over = 0
        while after is not None:
            removed = await self.delete_some_jobs(name, after)
            left_over += removed.left_over
            after = removed.last
        return left_over

    async def delete_some_jobs(self, name: str, after: str) -> Removed:
        """Removes the jobs of a closed queue that are among the next thousands behind `after`."""
        removed = await self._store.queue_control.delete_jobs(name, after, _MAX_LOOKED_AT)
        self._hints.tell(removed.job_ids)
        return removed

    async def delete_if_empty(self, name: str) -> bool:
        """Removes a closed queue unless it has jobs that have not ended. Returns whether it is
        gone; there may be another one of its name by now."""

        def check(queue: Queue) -> None:
            if not queue.deleting:
                raise QueueNotFound(name)

        try:
            await self._store.queue_control.delete(name, check)
        except QueueNotEmpty:
            return not await self._is_closed(name)
        except QueueNotFound:
            return True
        self._hints.tell(declared=[name])
        return True

    async def _is_closed(self, name: str) -> bool:
        queue = (await self._store.queues.read([name], with_schemas=False)).get(name)
        return queue is not None and queue.deleting
