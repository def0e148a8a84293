"""Points: how a client creates a job."""

import uuid

import grpc

from jobsvc.conformance.call_stage import CallStage
from jobsvc.conformance.point import Point
from jobsvc.conformance.refusal import BROKEN, Refusal
from jobsvc.conformance.rules import (
    CODE_IN_DETAILS,
    RETRY_INFO,
    error_rule,
    job_service_rule,
)

_RETRY_SECONDS = 2.0
#: What two clocks may differ by over such a time.
_CLOCK_SECONDS = 0.1
_INVALID = grpc.StatusCode.INVALID_ARGUMENT
_AWAY = Refusal(grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE", retry_seconds=0.5)


async def _request_id(stage: CallStage) -> None:
    call = await stage.creation()
    request_id = call.request.request_id
    try:
        canonical = str(uuid.UUID(request_id))
    except ValueError:
        canonical = ""
    stage.require(
        canonical and request_id == canonical,
        f"`request_id` is {request_id[:40]!r}, no UUID in canonical form",
    )
    await stage.complete(call.answer())


async def _same_request_id(stage: CallStage) -> None:
    call = await stage.refuse_creations(_AWAY, _AWAY)
    await stage.complete(call.answer(existing=True))


async def _in_doubt(stage: CallStage) -> None:
    codes = (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)
    call = await stage.refuse_creations(*(Refusal(code) for code in codes))
    await stage.complete(call.answer())


async def _broken_call(stage: CallStage) -> None:
    codes = (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)
    call = await stage.refuse_creations(BROKEN, *(Refusal(code) for code in codes))
    await stage.complete(call.answer())


async def _code_in_details(stage: CallStage) -> None:
    changed = grpc.StatusCode.UNKNOWN
    draining = Refusal(
        grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING", retry_seconds=0.2, sent_as=changed
    )
    call = await stage.refuse_creations(draining)
    call.refuse(Refusal(_INVALID, "INVALID_REQUEST", sent_as=changed))
    await stage.gives_up()


async def _retry_info(stage: CallStage) -> None:
    full = Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED", _RETRY_SECONDS)
    call = await stage.refuse_creations(full)
    waited = call.time - stage.creations[0].time
    stage.require(
        waited >= _RETRY_SECONDS - _CLOCK_SECONDS,
        f"it came again after {waited:.1f} s where `RetryInfo` says {_RETRY_SECONDS:g}",
    )
    await stage.complete(call.answer())


async def _refused(stage: CallStage) -> None:
    call = await stage.creation()
    call.refuse(Refusal(_INVALID, "INVALID_REQUEST"))
    await stage.gives_up()


POINTS = (
    Point(
        "request-id",
        "creates with a UUID as `request_id`",
        job_service_rule(
            "CreateJobRequest.request_id",
            "UUID that makes the call idempotent until 24 hours after the end of the job",
        ),
        _request_id,
    ),
    Point(
        "same-request-id",
        "repeats a call with the same `request_id`",
        job_service_rule("JobService.CreateJob", "retry with the same `request_id`."),
        _same_request_id,
    ),
    Point(
        "in-doubt",
        "repeats a call that may have passed",
        job_service_rule(
            "JobService.CreateJob",
            "A call that ends with `DEADLINE_EXCEEDED`, `CANCELLED` or `UNAVAILABLE` may have"
            " created the job",
        ),
        _in_doubt,
    ),
    Point(
        "broken-call",
        "repeats a call, whatever a proxy calls it",
        job_service_rule(
            "JobService",
            "A status without it is not from jobsvc: it is a broken connection, whatever a proxy"
            " on the way calls it",
        ),
        _broken_call,
    ),
    Point("code-in-details", "reads the code in the details", CODE_IN_DETAILS, _code_in_details),
    Point("retry-info", "waits as `RetryInfo` says", RETRY_INFO, _retry_info),
    Point(
        "refused",
        "gives up what is refused for good",
        error_rule("INVALID_REQUEST", "Mend the request."),
        _refused,
    ),
)
