"""JobService: for services that need work done. Checks and converts; `jobs` decides."""

from collections.abc import Awaitable
from contextlib import nullcontext

from jobsvc.api.auth import current_caller
from jobsvc.api.bounds import MAX_ANSWER_BYTES
from jobsvc.api.bulk_jobs import BulkJobs
from jobsvc.api.byte_budget import ANSWER_SECONDS, ExpectedSize, current_charge
from jobsvc.api.convert.create_responses import created, previewed, runs, shorten, write_run
from jobsvc.api.convert.job_requests import RequestReader
from jobsvc.api.convert.jobs import check_encoding, view_is_full, write_job, write_payloads
from jobsvc.api.convert.payloads import LargePayload
from jobsvc.api.convert.request_checks import RequestChecks
from jobsvc.api.guard import Context
from jobsvc.api.job_control import JobControl
from jobsvc.api.job_lists import JobLists
from jobsvc.api.job_rates import JobRates
from jobsvc.api.large_writes import LargeWrites
from jobsvc.api.status_stream import StatusStreams
from jobsvc.api.submit_stream import SubmitStreams
from jobsvc.api.watch_stream import WatchStreams
from jobsvc.domain.errors import InvalidRequest
from jobsvc.domain.job import Job
from jobsvc.domain.limits import MAX_VIOLATIONS
from jobsvc.event_loop.time_slice import TimeSlice
from jobsvc.jobs.create import Creation
from jobsvc.jobs.read import JobReader
from jobsvc.settings import Settings
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceServicer

_MAX_BATCH = 1000
#: A larger batch is a large write, of which each caller has so many at a time.
_LARGE_BATCH_BYTES = 1024 * 1024
_MAX_LARGE_WRITES = 1
_DEFAULT_WAIT_SECONDS = 20.0
#: Time to get an answer to the caller before the deadline of the call.
_MARGIN_SECONDS = 0.5


class JobService(JobServiceServicer):
    """Creates, reads, follows and controls jobs."""

    def __init__(
        self,
        creation: Creation,
        reader: JobReader,
        status_streams: StatusStreams,
        submit_streams: SubmitStreams,
        watch_streams: WatchStreams,
        control: JobControl,
        lists: JobLists,
        bulk: BulkJobs,
        job_rates: JobRates,
        settings: Settings,
    ) -> None:
        self._creation = creation
        self._reader = reader
        self._status_streams = status_streams
        self._submit_streams = submit_streams
        self._watch_streams = watch_streams
        self._control = control
        self._lists = lists
        self._bulk = bulk
        self._job_rates = job_rates
        self._requests = RequestReader(settings.max_payload_bytes)
        self._large_writes = LargeWrites(_MAX_LARGE_WRITES)
        #: Of the payloads of a job that is read.
        self._expected_size = ExpectedSize()

    async def CreateJob(
        self, request: pb.CreateJobRequest, context: Context
    ) -> pb.CreateJobResponse:
        caller = current_caller.get()
        try:  # without another coroutine
            asked = self._requests.read(request)
        except LargePayload:
            asked = await self._requests.read_large(request)
        if request.validate_only:
            return previewed(*await self._creation.preview([asked], caller))
        await self._job_rates.take(1, context.time_remaining())
        return created(await self._creation.create(asked, caller))

    async def BatchCreateJobs(
        self, request: pb.BatchCreateJobsRequest, context: Context
    ) -> pb.BatchCreateJobsResponse:
        validate_only = _check_batch(request)
        asked = []
        refusal: InvalidRequest | None = None
        time_slice = await TimeSlice.after_decoding(request.requests)
        for index, item in enumerate(request.requests):
            try:
                try:  # without a coroutine for each
                    asked.append(self._requests.read(item, index))
                except LargePayload:
                    asked.append(await self._requests.read_large(item, index))
            except InvalidRequest as error:
                refusal = error if refusal is None else refusal.with_those_of(error)
                if len(refusal.violations) >= MAX_VIOLATIONS:
                    break
            if time_slice.used_up:
                await time_slice.yield_()
        del request, item  # They are as large as all that was read from them.
        if refusal is not None:
            raise refusal
        if validate_only:
            results = await self._creation.preview(asked, current_caller.get())
            response = pb.BatchCreateJobsResponse(responses=map(previewed, results))
            if response.ByteSize() > MAX_ANSWER_BYTES:
                shorten(response)
            return response
        await self._job_rates.take(len(asked), context.time_remaining())
        is_large = current_charge.get().held_bytes > _LARGE_BATCH_BYTES
        async with self._large_writes.room() if is_large else nullcontext():
            results = await self._creation.create_all(asked, current_caller.get())
        response, size_bytes = pb.BatchCreateJobsResponse(), 0
        for run in runs(results):
            size_bytes += write_run(response, run)
            if time_slice.used_up:
                await time_slice.yield_()
        if size_bytes > MAX_ANSWER_BYTES:
            shorten(response)
        return response

    async def GetJob(self, request: pb.GetJobRequest, context: Context) -> pb.GetJobResponse:
        checks = RequestChecks()
        job_id = checks.uuid("job_id", request.job_id)
        full = view_is_full(checks, request.view)
        check_encoding(checks, request.payload_encoding)
        checks.raise_if_violated()
        if full:
            await current_charge.get().reserve(self._expected_size.bytes, ANSWER_SECONDS)
        job = await self._reader.read(job_id, current_caller.get(), full)
        self._expected_size.saw(_payload_size(job))
        reason, detail = await self._reader.wait_reason(job)
        attempts = await self._reader.attempts(job) if full else ()
        response = pb.GetJobResponse()
        write_job(response.job, job, full, reason, attempts)
        response.job.status.wait_detail = detail
        if full:
            await write_payloads(response.job, job, request.payload_encoding)
        return response

    async def WaitJob(self, request: pb.WaitJobRequest, context: Context) -> pb.WaitJobResponse:
        checks = RequestChecks()
        job_id = checks.uuid("job_id", request.job_id)
        full = view_is_full(checks, request.view)
        check_encoding(checks, request.payload_encoding)
        seconds = (
            checks.seconds("timeout", request.timeout, 0, 60)
            if request.HasField("timeout")
            else _DEFAULT_WAIT_SECONDS
        )
        checks.raise_if_violated()
        remaining = context.time_remaining()
        if remaining is not None:
            seconds = min(seconds, max(remaining - _MARGIN_SECONDS, 0))
        after = request.after_version if request.HasField("after_version") else None
        job = await self._reader.wait(job_id, current_caller.get(), full, seconds, after)
        reason, detail = await self._reader.wait_reason(job)
        await current_charge.get().reserve(_payload_size(job), ANSWER_SECONDS)
        response = pb.WaitJobResponse()
        write_job(response.job, job, full, reason)
        response.job.status.wait_detail = detail
        if full:
            await write_payloads(response.job, job, request.payload_encoding)
        return response

    async def ListJobs(self, request: pb.ListJobsRequest, context: Context) -> pb.ListJobsResponse:
        return await self._lists.list(request, current_caller.get())

    async def CountJobs(
        self, request: pb.CountJobsRequest, context: Context
    ) -> pb.CountJobsResponse:
        return await self._lists.count(request, current_caller.get())

    # The two streams write by themselves, which spares each of them two generators.
    def StreamJobStatus(  # type: ignore[override]
        self, request: pb.StreamJobStatusRequest, context: Context
    ) -> Awaitable[None]:
        return self._status_streams.serve(request, context, current_caller.get())

    def Submit(self, requests: object, context: Context) -> Awaitable[None]:  # type: ignore[override]
        return self._submit_streams.serve(context, current_caller.get())

    def WatchJobs(  # type: ignore[override]
        self, request: pb.WatchJobsRequest, context: Context
    ) -> Awaitable[None]:
        return self._watch_streams.serve(request, context, current_caller.get())

    async def CancelJob(
        self, request: pb.CancelJobRequest, context: Context
    ) -> pb.CancelJobResponse:
        return await self._control.cancel(request)

    async def RetryJob(self, request: pb.RetryJobRequest, context: Context) -> pb.RetryJobResponse:
        return await self._control.retry(request)

    async def UpdateJob(
        self, request: pb.UpdateJobRequest, context: Context
    ) -> pb.UpdateJobResponse:
        return await self._control.update(request)

    async def DeleteJob(
        self, request: pb.DeleteJobRequest, context: Context
    ) -> pb.DeleteJobResponse:
        return await self._control.delete(request)

    async def BulkJobs(self, request: pb.BulkJobsRequest, context: Context) -> pb.BulkJobsResponse:
        return await self._bulk.start(request, current_caller.get())

    async def GetBulkOperation(
        self, request: pb.GetBulkOperationRequest, context: Context
    ) -> pb.GetBulkOperationResponse:
        return await self._bulk.get(request, current_caller.get())

    async def ListBulkOperations(
        self, request: pb.ListBulkOperationsRequest, context: Context
    ) -> pb.ListBulkOperationsResponse:
        return await self._bulk.list(request, current_caller.get())

    async def WaitBulkOperation(
        self, request: pb.WaitBulkOperationRequest, context: Context
    ) -> pb.WaitBulkOperationResponse:
        return await self._bulk.wait(request, current_caller.get(), context.time_remaining())

    async def StopBulkOperation(
        self, request: pb.StopBulkOperationRequest, context: Context
    ) -> pb.StopBulkOperationResponse:
        return await self._bulk.stop(request, current_caller.get())


def _payload_size(job: Job) -> int:
    return len(job.input or "") + len(job.status.output or "")


def _check_batch(request: pb.BatchCreateJobsRequest) -> bool:
    """Returns whether the batch must create nothing, only validate."""
    checks = RequestChecks()
    checks.count("requests", request.requests, 1, _MAX_BATCH)
    validate_only = {item.validate_only for item in request.requests}
    if len(validate_only) > 1:
        checks.add("requests", "validate_only must be the same in all of them")
    checks.raise_if_violated()
    return validate_only == {True}
