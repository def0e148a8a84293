"""Takes in the requests on a stream of Submit."""

from collections.abc import Sequence
from typing import NamedTuple

from google.protobuf.message import DecodeError
from opentelemetry.context import Context

from jobsvc import telemetry
from jobsvc.api.auth import CallerReader
from jobsvc.api.convert.job_requests import RequestReader
from jobsvc.api.convert.jobs import check_encoding
from jobsvc.api.convert.payloads import LargePayload
from jobsvc.api.convert.request_checks import UNDECODABLE, RequestChecks
from jobsvc.api.large_message import decode_message
from jobsvc.domain.errors import InvalidRequest, JobsvcError, Violation
from jobsvc.domain.owner import Owner
from jobsvc.event_loop.time_slice import TimeSlice
from jobsvc.jobs.create import Asked
from jobsvc.v1 import job_service_pb2 as pb

_NO_CONTEXT = Context()
#: Most items of each list in a request.
MAX_ITEMS = 1000


class Options(NamedTuple):
    """How the server writes to a stream."""

    payload_encoding: int
    heartbeat_seconds: float


async def decode_request(data: bytes) -> pb.SubmitRequest:
    """Returns a request.

    Raises:
        InvalidRequest: it cannot be decoded, or has too many items.
    """
    try:
        request = await decode_message(pb.SubmitRequest.FromString, data)
    except DecodeError:
        raise InvalidRequest([Violation("request", UNDECODABLE)]) from None
    checks = RequestChecks()
    checks.count("jobs", request.jobs, 0, MAX_ITEMS)
    for field in ("follow_job_ids", "unfollow_job_ids"):
        texts: Sequence[str] = getattr(request, field)
        checks.count(field, texts, 0, MAX_ITEMS)
        for index, text in enumerate(texts):
            checks.uuid(f"{field}[{index}]", text)
    checks.raise_if_violated()
    return request


def read_options(request: pb.SubmitRequest, heartbeat_seconds: float) -> Options:
    """Returns what the first request says; `heartbeat_seconds` unless it says otherwise.

    Raises:
        InvalidRequest: a field breaks a rule of the contract.
    """
    checks, options = RequestChecks(), request.options
    check_encoding(checks, options.payload_encoding)
    if options.HasField("heartbeat_interval"):
        heartbeat_seconds = checks.seconds("heartbeat_interval", options.heartbeat_interval, 5, 300)
    if checks.violations:
        raise InvalidRequest(checks.violations).at("options.")
    return Options(options.payload_encoding, heartbeat_seconds)


def _refusal(request: pb.CreateJobRequest) -> InvalidRequest:
    violations = []
    if not request.request_id:
        violations.append(Violation("request_id", "is required on this stream"))
    if request.validate_only:
        violations.append(Violation("validate_only", "must not be set on this stream"))
    return InvalidRequest(violations)


class JobsReader:
    """Reads the jobs of requests into the domain, on all streams of a replica."""

    def __init__(self, requests: RequestReader, callers: CallerReader) -> None:
        self._requests = requests
        self._callers = callers

    async def read(self, jobs: Sequence[pb.SubmitJob], caller: Owner) -> list[Asked | JobsvcError]:
        """Empties the messages. Returns for each what is asked for, or what is wrong with it."""
        asked: list[Asked | JobsvcError] = []
        time_slice = await TimeSlice.after_decoding(jobs)
        for job in jobs:
            try:
                asked.append(await self._read(job, caller))
            except JobsvcError as error:
                asked.append(error)
            if time_slice.used_up:
                await time_slice.yield_()
        return asked

    async def _read(self, job: pb.SubmitJob, caller: Owner) -> Asked:
        request = job.request
        if not request.request_id or request.validate_only:
            raise _refusal(request)
        if job.session_id or job.user_id:
            caller = self._callers.acting_for(caller, job.session_id, job.user_id)
        try:  # without another coroutine
            read = self._requests.read(request)
        except LargePayload:
            read = await self._requests.read_large(request)
        context = (
            telemetry.parent(job.traceparent, job.tracestate) if job.traceparent else _NO_CONTEXT
        )
        return Asked(read, caller, context)
