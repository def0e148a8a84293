"""The calls of JobService that control a job: checked, converted, passed on to `jobs`."""

from dataclasses import dataclass

from jobsvc.api.auth import current_caller
from jobsvc.api.convert.job_control import check_target, job_change
from jobsvc.api.convert.jobs import write_job
from jobsvc.api.convert.payloads import LargePayload, read_large
from jobsvc.api.convert.request_checks import RequestChecks
from jobsvc.domain.limits import MAX_EXTRA_ATTEMPTS, MAX_NOTE_CHARACTERS
from jobsvc.jobs.cancel import Cancellation
from jobsvc.jobs.change import Changing
from jobsvc.jobs.delete import Deletion
from jobsvc.jobs.retry import Retrying
from jobsvc.v1 import job_service_pb2 as pb


@dataclass(frozen=True, slots=True)
class JobControl:
    """Cancels, retries, changes and deletes jobs for callers."""

    cancellation: Cancellation
    retrying: Retrying
    changing: Changing
    deletion: Deletion
    max_payload_bytes: int

    async def cancel(self, request: pb.CancelJobRequest) -> pb.CancelJobResponse:
        """Serves CancelJob."""
        checks = RequestChecks()
        check_target(checks, request.job_id, request.etag)
        checks.text("reason", request.reason, MAX_NOTE_CHARACTERS)
        checks.raise_if_violated()
        caller = current_caller.get()
        job = await self.cancellation.cancel(request.job_id, caller, request.reason, request.etag)
        response = pb.CancelJobResponse()
        write_job(response.job, job, full=False)
        return response

    async def retry(self, request: pb.RetryJobRequest) -> pb.RetryJobResponse:
        """Serves RetryJob."""
        checks = RequestChecks()
        check_target(checks, request.job_id, request.etag)
        checks.number("extra_attempts", request.extra_attempts, 0, MAX_EXTRA_ATTEMPTS)
        checks.raise_if_violated()
        extra, caller = request.extra_attempts or 1, current_caller.get()
        job = await self.retrying.retry(request.job_id, caller, extra, request.etag)
        response = pb.RetryJobResponse()
        write_job(response.job, job, full=False)
        return response

    async def update(self, request: pb.UpdateJobRequest) -> pb.UpdateJobResponse:
        """Serves UpdateJob."""
        try:
            change = job_change(request, self.max_payload_bytes)
        except LargePayload:
            large = await read_large(request.spec.input, self.max_payload_bytes)
            change = job_change(request, self.max_payload_bytes, large)
        caller = current_caller.get()
        job = await self.changing.change(request.job_id, caller, change, request.etag)
        response = pb.UpdateJobResponse()
        write_job(response.job, job, full=False)
        return response

    async def delete(self, request: pb.DeleteJobRequest) -> pb.DeleteJobResponse:
        """Serves DeleteJob."""
        checks = RequestChecks()
        check_target(checks, request.job_id, request.etag)
        checks.raise_if_violated()
        await self.deletion.delete(request.job_id, current_caller.get(), request.etag)
        return pb.DeleteJobResponse()
