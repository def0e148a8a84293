"""Points: how a client reads a status."""

from jobsvc.conformance.call_stage import CallStage
from jobsvc.conformance.payloads import JsonObject
from jobsvc.conformance.point import Point
from jobsvc.conformance.refusal import BROKEN
from jobsvc.conformance.rules import job_rule, job_service_rule, payload_rule
from jobsvc.conformance.stage import SOON_SECONDS
from jobsvc.conformance.unknown import UNKNOWN_STATE

_OUTPUT: JsonObject = {"number": 1}
_NUMBERS: JsonObject = {
    "largest": 9007199254740991,
    "past_32_bits": 4294967296,
    "double": 1.7976931348623157e308,
    "id": "9007199254740993",
}


async def _failed(stage: CallStage) -> None:
    stream = await stage.followed()
    stream.update("FAILED", 3, ended=True, error="asked to")
    stream.end()
    await stage.ended("FAILED")


async def _cancelled(stage: CallStage) -> None:
    stream = await stage.followed()
    stream.update("CANCELLED", 3, ended=True)
    stream.end()
    await stage.ended("CANCELLED")


async def _repeated(stage: CallStage) -> None:
    call = await stage.creation()
    job_id = call.answer()
    stream = await stage.following(job_id)
    stream.update("PROCESSING", 4)
    await stage.until(
        lambda: (4, "PROCESSING") in stage.printed.statuses,
        SOON_SECONDS,
        "line with `version` 4 and `state` PROCESSING",
    )
    stream.end(BROKEN)
    stream = await stage.following(job_id)
    stream.update("PROCESSING", 4)
    stream.synced()
    stream.finish(5, _OUTPUT)
    printed = await stage.ended("COMPLETED")
    count = printed.statuses.count((4, "PROCESSING"))
    stage.require(count == 1, f"it told a status with the same version {count} times")


async def _end_repeated(stage: CallStage) -> None:
    call = await stage.creation()
    job_id = call.answer()
    stream = await stage.following(job_id)
    stream.update("PROCESSING", 4)
    stream.end(BROKEN)
    stream = await stage.following(job_id)
    stream.finish(4, _OUTPUT)
    printed = await stage.ended("COMPLETED")
    stage.require(printed.output == _OUTPUT, "it did not print the output of the job")


async def _went_back(stage: CallStage) -> None:
    call = await stage.creation()
    job_id = call.answer()
    stream = await stage.following(job_id)
    stream.update("PROCESSING", 9)
    stream.end(BROKEN)
    stream = await stage.following(job_id)
    stream.update("PENDING", 4)
    await stage.until(
        lambda: (4, "PENDING") in stage.printed.statuses,
        SOON_SECONDS,
        "line with `version` 4 after one with 9",
    )
    stream.finish(6, _OUTPUT)
    await stage.ended("COMPLETED")


async def _unknown_state(stage: CallStage) -> None:
    stream = await stage.followed()
    stream.update(UNKNOWN_STATE, 2)
    stream.finish(3, _OUTPUT)
    await stage.ended("COMPLETED")


async def _end_time(stage: CallStage) -> None:
    stream = await stage.followed()
    stream.update(UNKNOWN_STATE, 2, ended=True)
    await stage.gone()
    stage.require(stage.program.exit_code != 0, "its exit code is 0 for a job in no known state")


async def _large_version(stage: CallStage) -> None:
    stream = await stage.followed()
    low, high = 4294967297, 4294967298
    stream.update("PENDING", low)
    stream.update("PROCESSING", high)
    await stage.until(
        lambda: [(low, "PENDING"), (high, "PROCESSING")] == stage.printed.statuses,
        SOON_SECONDS,
        "line with each `version` beyond 32 bits",
    )
    stream.finish(high + 1, _OUTPUT)
    await stage.ended("COMPLETED")


async def _large_numbers(stage: CallStage) -> None:
    stream = await stage.followed()
    stream.finish(3, _NUMBERS)
    printed = await stage.ended("COMPLETED")
    value = printed.output or {}
    wrong = [name for name, number in _NUMBERS.items() if value.get(name) != number]
    stage.require(not wrong, f"numbers of the output are changed: {', '.join(wrong)}")


async def _empty_output(stage: CallStage) -> None:
    stream = await stage.followed()
    stream.finish(3, {})
    printed = await stage.ended("COMPLETED")
    stage.require(printed.output == {}, "it printed no empty object as output")


POINTS = (
    Point(
        "failed",
        "tells that a job has FAILED",
        job_rule(
            "JobState.JOB_STATE_FAILED",
            "Terminal: attempts or time ran out, or the error was permanent.",
        ),
        _failed,
    ),
    Point(
        "cancelled",
        "tells that a job is CANCELLED",
        job_rule("JobState.JOB_STATE_CANCELLED", "Terminal: cancelled on request."),
        _cancelled,
    ),
    Point(
        "repeated-version",
        "drops an update that repeats a version",
        job_service_rule(
            "JobUpdate", "drop an update that repeats the last `status.version` seen for the job"
        ),
        _repeated,
    ),
    Point(
        "repeated-end",
        "takes an end of any version",
        job_service_rule("JobUpdate", "unless the job has ended."),
        _end_repeated,
    ),
    Point(
        "lower-version",
        "takes a lower version for true",
        job_service_rule("JobUpdate", "A lower version is no repetition"),
        _went_back,
    ),
    Point(
        "unknown-state",
        "goes on after an unknown state",
        job_rule("JobState", "treat an unknown value as not terminal"),
        _unknown_state,
    ),
    Point(
        "end-time",
        "ends where `end_time` is set",
        job_rule("JobState", "and look at `JobStatus.end_time`."),
        _end_time,
    ),
    Point(
        "large-version",
        "reads versions of 64 bits",
        job_rule("JobStatus.version", "Starts at 1 and grows with every change of the status"),
        _large_version,
    ),
    Point(
        "large-numbers",
        "keeps numbers, up to 2^53 and as doubles",
        payload_rule("Payload.json", "Numbers are IEEE 754 doubles"),
        _large_numbers,
    ),
    Point(
        "empty-output",
        "takes an empty output, set or unset",
        payload_rule(
            "Payload",
            "To a reader of `json_text` the empty object is `{}`; a reader of `json` may find the"
            " payload unset.",
        ),
        _empty_output,
    ),
)
