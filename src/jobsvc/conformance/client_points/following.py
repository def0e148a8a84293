"""Points: how a client follows a job over streams."""

import grpc

from jobsvc.conformance.call_stage import CallStage
from jobsvc.conformance.point import Point
from jobsvc.conformance.refusal import DRAINING, Refusal
from jobsvc.conformance.rules import (
    UNKNOWN_FIELDS,
    error_rule,
    job_service_rule,
)
from jobsvc.conformance.stage import SOON_SECONDS
from jobsvc.worker.duration import from_duration

#: Of the contract, where the request names no interval.
_HEARTBEAT_SECONDS = 15.0
#: After so many the Python client gives a stream up.
_SILENT_INTERVALS = 3
_OUTPUT = {"number": 1}


async def _follow(stage: CallStage) -> None:
    stream = await stage.followed()
    stream.update("PENDING", 1)
    stream.synced()
    stream.heartbeat()
    stream.update("PROCESSING", 2)
    stream.heartbeat()
    await stage.until(
        lambda: (2, "PROCESSING") in stage.printed.statuses,
        SOON_SECONDS,
        "line with `version` 2 and `state` PROCESSING",
    )
    stream.finish(3, _OUTPUT)
    printed = await stage.ended("COMPLETED")
    stage.require(printed.output == _OUTPUT, "it did not print the output of the job")


async def _existing(stage: CallStage) -> None:
    call = await stage.creation()
    await stage.complete(call.answer(existing=True))


async def _broken_stream(stage: CallStage) -> None:
    call = await stage.creation()
    job_id = call.answer()
    for version, refusal in (
        (1, Refusal(grpc.StatusCode.UNAVAILABLE)),
        (2, Refusal(grpc.StatusCode.INTERNAL)),
        (3, DRAINING),
    ):
        stream = await stage.following(job_id)
        stream.update("PROCESSING", version)
        stream.end(refusal)
    await stage.complete(job_id)


async def _silent_stream(stage: CallStage) -> None:
    call = await stage.creation()
    job_id = call.answer()
    stream = await stage.following(job_id)
    stream.update("PROCESSING", 1)
    asked = from_duration(stream.request.heartbeat_interval) or _HEARTBEAT_SECONDS
    await stage.complete(job_id, _SILENT_INTERVALS * asked + SOON_SECONDS)


async def _not_found(stage: CallStage) -> None:
    stream = await stage.followed()
    stream.end(Refusal(grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND"))
    await stage.gives_up()


async def _unknown_events(stage: CallStage) -> None:
    stream = await stage.followed()
    stream.send_unknown()
    stream.update("PROCESSING", 2)
    stream.send_unknown()
    stream.finish(3, _OUTPUT)
    await stage.ended("COMPLETED")
    stage.require(len(stage.followings) == 1, "it left the stream with such an event")


POINTS = (
    Point(
        "follow",
        "tells each status, and the end",
        job_service_rule(
            "JobService.StreamJobStatus",
            "First comes one update for each job as it is now, then `synced`, then an update for"
            " each change.",
        ),
        _follow,
    ),
    Point(
        "existing",
        "follows a job that it had created before",
        job_service_rule(
            "CreateJobRequest.request_id",
            "A repetition returns the job as it is then, with `existing` set.",
        ),
        _existing,
    ),
    Point(
        "broken-stream",
        "opens a broken stream again",
        error_rule("SERVER_DRAINING", "Again, on a new connection."),
        _broken_stream,
    ),
    Point(
        "silent-stream",
        "gives up a silent stream",
        job_service_rule(
            "StreamJobStatusRequest.heartbeat_interval",
            "Longest silence. Default 15 seconds.",
        ),
        _silent_stream,
    ),
    Point(
        "not-found",
        "gives up a job that is not there",
        error_rule("JOB_NOT_FOUND", "There is no such job, or its retention is over."),
        _not_found,
    ),
    Point("unknown-events", "ignores unknown events", UNKNOWN_FIELDS, _unknown_events),
)
