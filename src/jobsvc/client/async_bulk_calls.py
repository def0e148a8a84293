"""The calls about bulk operations, for asyncio. After a change here, `make generate` writes
sync_bulk_calls.py anew."""

from collections.abc import AsyncGenerator
from typing import Unpack
from uuid import UUID

from jobsvc.client.async_connection import AsyncConnection
from jobsvc.client.bulk_operation import BulkAction, BulkOperation, BulkPreview
from jobsvc.client.convert.bulk_operations import (
    bulk_request,
    read_operation,
    read_preview,
    wait_operation_request,
)
from jobsvc.client.errors import CallFailed
from jobsvc.client.job_filter import JobFilter
from jobsvc.client.reconnect import ReconnectPolicy
from jobsvc.client.wait_deadline import WaitDeadline
from jobsvc.v1 import job_service_pb2 as pb

#: Of one page.
_MAX_ITEMS = 100


class AsyncBulkCalls(AsyncConnection):
    """What a client does with all jobs of a filter. `AsyncClient` has it."""

    async def bulk(
        self,
        action: BulkAction,
        *,
        rate: float = 0.0,
        most: int = 0,
        request_id: str | UUID | None = None,
        **wanted: Unpack[JobFilter],
    ) -> BulkOperation:
        """Does the same with all jobs that match and that the caller may see: starts an operation
        that goes on in the server, at most `rate` jobs a second and `most` in all (0: no limit).

        It goes over the jobs that there are now, from the newest to the oldest, and judges each
        when it comes to it. The `states` must be such that allow the action; without them, all
        that do are meant.

        Raises:
            InvalidRequest: a condition or an option is out of its range.
            Overloaded: as many operations run as may.
            RequestIdReused: the request id was used for another operation.
            ValueError: a state is unknown, a time has no time zone, an input is to be changed.
        """
        request = bulk_request(action, wanted, rate, most, request_id)
        response = await self._call("JobService/BulkJobs", self._jobs.BulkJobs, request)
        return read_operation(response.operation)

    async def preview_bulk(
        self, action: BulkAction, *, most: int = 0, **wanted: Unpack[JobFilter]
    ) -> BulkPreview:
        """Returns what `bulk` would touch now; touches nothing.

        Raises: as `bulk`.
        """
        request = bulk_request(action, wanted, most=most, validate_only=True)
        response = await self._call("JobService/BulkJobs", self._jobs.BulkJobs, request)
        return read_preview(response)

    async def get_bulk_operation(self, operation_id: str | UUID) -> BulkOperation:
        """Returns an operation as it is now.

        Raises:
            BulkOperationNotFound: there is none, or its retention is over.
            CallFailed: with reason `BULK_OPERATION_NOT_OWNED` if it is somebody else's.
        """
        request = pb.GetBulkOperationRequest(operation_id=str(operation_id))
        response = await self._call(
            "JobService/GetBulkOperation", self._jobs.GetBulkOperation, request
        )
        return read_operation(response.operation)

    async def list_bulk_operations(self) -> AsyncGenerator[BulkOperation, None]:
        """Yields the operations that the caller may see, newest first."""
        request = pb.ListBulkOperationsRequest(page_size=_MAX_ITEMS)
        while True:
            page = await self._call(
                "JobService/ListBulkOperations", self._jobs.ListBulkOperations, request
            )
            for operation in page.operations:
                yield read_operation(operation)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def wait_bulk_operation(
        self,
        operation_id: str | UUID,
        timeout: float | None = None,  # noqa: ASYNC109 - ends with the operation, not with an error
        *,
        after_version: int | None = None,
        reconnect_seconds: float = 60.0,
    ) -> BulkOperation:
        """Waits until an operation ends, or has a version above `after_version`, or `timeout`
        seconds pass (None: no limit), and returns it as it is then. Over an absence of the server
        it goes on as `wait` does.

        Raises: as `get_bulk_operation`, and
            Unavailable, DeadlineExceeded: the server stayed away.
        """
        deadline = WaitDeadline(timeout, self._clock(), self._stream_age_seconds)
        reconnect = ReconnectPolicy(self._timeout, reconnect_seconds, until=deadline.time)
        while True:
            now = self._clock()
            request = wait_operation_request(
                operation_id, deadline.call_seconds(now), after_version
            )
            timeout_seconds = deadline.answer_seconds(now, self._timeout)
            try:
                async with self._long_call() as jobs:
                    response = await self._call(
                        "JobService/WaitBulkOperation",
                        jobs.WaitBulkOperation,
                        request,
                        timeout_seconds,
                    )
            except CallFailed as failure:
                await self._pause(reconnect, failure)
                continue
            reconnect.answered()
            operation = read_operation(response.operation)
            has_moved = after_version is not None and operation.version > after_version
            if operation.ended or has_moved or deadline.passed(self._clock()):
                return operation

    async def watch_bulk_operation(
        self, operation_id: str | UUID
    ) -> AsyncGenerator[BulkOperation, None]:
        """Yields an operation as it is, then each time that it has gone on, until it ends; some
        steps may be skipped, the last one never.

        Raises: as `wait_bulk_operation`.
        """
        operation = await self.get_bulk_operation(operation_id)
        yield operation
        while not operation.ended:
            operation = await self.wait_bulk_operation(
                operation_id, after_version=operation.version
            )
            yield operation

    async def stop_bulk_operation(self, operation_id: str | UUID) -> BulkOperation:
        """Stops an operation, and returns it: it touches no more jobs. What was done stays so; one
        that has ended is left as it is.

        Raises: as `get_bulk_operation`.
        """
        request = pb.StopBulkOperationRequest(operation_id=str(operation_id))
        response = await self._call(
            "JobService/StopBulkOperation", self._jobs.StopBulkOperation, request
        )
        return read_operation(response.operation)
