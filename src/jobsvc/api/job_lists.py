"""ListJobs and CountJobs."""

from jobsvc.api.bounds import MAX_PAGE_BYTES
from jobsvc.api.byte_budget import ANSWER_SECONDS, current_charge
from jobsvc.api.convert.job_filter import read_filter
from jobsvc.api.convert.jobs import check_encoding, view_is_full, write_job, write_payloads
from jobsvc.api.convert.request_checks import RequestChecks
from jobsvc.api.page_token import read_page_token, write_page_token
from jobsvc.api.pages import MAX_ITEMS, items_per_page
from jobsvc.domain.job import Job
from jobsvc.domain.owner import Owner
from jobsvc.event_loop.time_slice import TimeSlice
from jobsvc.jobs.list import JobLister, read_together
from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb

_MAX_FULL_ITEMS = 100
#: Jobs that are read in one go. The next ones are read only when there is room for more on the
#: page, so that memory is bounded: their errors may have tens of kilobytes.
_READ_JOBS = 100
#: Assumed size of a job without its payloads.
_JOB_BYTES = 2048


class JobLists:
    """Serves the lists of a replica."""

    def __init__(self, lister: JobLister) -> None:
        self._lister = lister

    async def list(self, request: pb.ListJobsRequest, caller: Owner) -> pb.ListJobsResponse:
        """Returns a page of jobs.

        Raises:
            InvalidRequest: a field breaks a rule of the contract.
            PageTokenInvalid: the token is not of this request.
            RateLimited: there was no room for the jobs.
        """
        checks = RequestChecks()
        full = request.view != job_pb2.JOB_VIEW_UNSPECIFIED and view_is_full(checks, request.view)
        check_encoding(checks, request.payload_encoding)
        most = items_per_page(
            checks, request.page_size, request.page_token, _MAX_FULL_ITEMS if full else MAX_ITEMS
        )
        wanted = read_filter(checks, request.filter, caller)
        checks.raise_if_violated()
        before = read_page_token(request, request.page_token) if request.page_token else None
        walk = await self._lister.find(wanted, caller, before, most, full)
        expected = sum(job.payload_bytes for job in walk.found) + _JOB_BYTES * len(walk.found)
        await current_charge.get().reserve(min(expected, MAX_PAGE_BYTES), ANSWER_SECONDS)
        response, last_id = pb.ListJobsResponse(), ""
        time_slice, size_bytes = TimeSlice(), 0
        for ids in read_together(walk.found, _READ_JOBS, MAX_PAGE_BYTES):
            for job in await self._lister.read(ids, wanted, caller, full):
                message = await _message(job, full, request.payload_encoding)
                size_bytes += message.ByteSize()
                if size_bytes > MAX_PAGE_BYTES and last_id:
                    response.next_page_token = write_page_token(request, last_id)
                    return response
                response.jobs.append(message)
                last_id = job.id
                if time_slice.used_up:
                    await time_slice.yield_()
        if walk.next_before is not None:
            response.next_page_token = write_page_token(request, walk.next_before)
        return response

    async def count(self, request: pb.CountJobsRequest, caller: Owner) -> pb.CountJobsResponse:
        """Returns how many jobs there are.

        Raises:
            InvalidRequest: a field breaks a rule of the contract.
        """
        checks = RequestChecks()
        wanted = read_filter(checks, request.filter, caller)
        checks.raise_if_violated()
        counted = await self._lister.count(wanted, caller)
        return pb.CountJobsResponse(count=counted.jobs, is_estimate=counted.is_estimate)


async def _message(job: Job, full: bool, encoding: int) -> job_pb2.Job:
    message = job_pb2.Job()
    write_job(message, job, full)
    if full:
        await write_payloads(message, job, encoding)
    return message
