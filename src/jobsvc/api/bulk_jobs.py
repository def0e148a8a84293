"""The calls of JobService about bulk operations: checked, converted, passed on to `jobs`."""

from jobsvc.api.bounds import MAX_PAGE_BYTES
from jobsvc.api.byte_budget import ANSWER_SECONDS, current_charge
from jobsvc.api.convert.bulk_operations import (
    operation_message,
    read_bulk_request,
    request_digest,
    requested_message,
)
from jobsvc.api.convert.jobs import write_job
from jobsvc.api.convert.request_checks import RequestChecks
from jobsvc.api.page_token import read_page_token, write_page_token
from jobsvc.api.pages import fill_page, items_per_page
from jobsvc.domain.bulk_operation import BulkOperation
from jobsvc.domain.job_id import LAST_ID
from jobsvc.domain.owner import Owner
from jobsvc.jobs.bulk import BulkOperations
from jobsvc.v1 import job_service_pb2 as pb

_MAX_ITEMS = 100
_DEFAULT_WAIT_SECONDS = 20.0
#: Time to get an answer to the caller before the deadline of the call.
_MARGIN_SECONDS = 0.5


class BulkJobs:
    """Serves the calls about bulk operations."""

    def __init__(self, operations: BulkOperations) -> None:
        self._operations = operations

    async def start(self, request: pb.BulkJobsRequest, caller: Owner) -> pb.BulkJobsResponse:
        """Serves BulkJobs."""
        asked = read_bulk_request(request, caller)
        response = pb.BulkJobsResponse()
        if request.validate_only:
            response.operation.CopyFrom(requested_message(asked))
            preview = await self._operations.preview(asked, caller)
            response.matching_count, response.is_estimate = preview.jobs, preview.is_estimate
            for job in preview.sample:
                write_job(response.sample.add(), job, full=False)
            return response
        operation, response.existing = await self._operations.start(
            asked, caller, request.request_id or None, request_digest(request)
        )
        response.operation.CopyFrom(operation_message(operation))
        return response

    async def get(
        self, request: pb.GetBulkOperationRequest, caller: Owner
    ) -> pb.GetBulkOperationResponse:
        """Serves GetBulkOperation."""
        operation = await self._operations.read(_operation_id(request), caller)
        return pb.GetBulkOperationResponse(operation=operation_message(operation))

    async def list(
        self, request: pb.ListBulkOperationsRequest, caller: Owner
    ) -> pb.ListBulkOperationsResponse:
        """Serves ListBulkOperations."""
        checks = RequestChecks()
        most = items_per_page(checks, request.page_size, request.page_token, _MAX_ITEMS)
        checks.raise_if_violated()
        before = read_page_token(request, request.page_token) if request.page_token else LAST_ID
        await current_charge.get().reserve(MAX_PAGE_BYTES, ANSWER_SECONDS)
        found = await self._operations.list(caller, before, most + 1)
        response = pb.ListBulkOperationsResponse()
        count = await fill_page(response.operations, found[:most], _message)
        if count < len(found):
            response.next_page_token = write_page_token(request, found[count - 1].id)
        return response

    async def wait(
        self,
        request: pb.WaitBulkOperationRequest,
        caller: Owner,
        remaining_seconds: float | None,
    ) -> pb.WaitBulkOperationResponse:
        """Serves WaitBulkOperation, for a call that has so much time left."""
        checks = RequestChecks()
        operation_id = checks.uuid("operation_id", request.operation_id)
        seconds = (
            checks.seconds("timeout", request.timeout, 0, 60)
            if request.HasField("timeout")
            else _DEFAULT_WAIT_SECONDS
        )
        checks.raise_if_violated()
        if remaining_seconds is not None:
            seconds = min(seconds, max(remaining_seconds - _MARGIN_SECONDS, 0))
        after = request.after_version if request.HasField("after_version") else None
        operation = await self._operations.wait(operation_id, caller, seconds, after)
        return pb.WaitBulkOperationResponse(operation=operation_message(operation))

    async def stop(
        self, request: pb.StopBulkOperationRequest, caller: Owner
    ) -> pb.StopBulkOperationResponse:
        """Serves StopBulkOperation."""
        operation = await self._operations.stop(_operation_id(request), caller)
        return pb.StopBulkOperationResponse(operation=operation_message(operation))


def _operation_id(request: pb.GetBulkOperationRequest | pb.StopBulkOperationRequest) -> str:
    checks = RequestChecks()
    operation_id = checks.uuid("operation_id", request.operation_id)
    checks.raise_if_violated()
    return operation_id


async def _message(operation: BulkOperation) -> pb.BulkOperation:
    return operation_message(operation)
