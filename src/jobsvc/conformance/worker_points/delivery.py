"""Points: how a worker takes jobs and what it reports."""

from jobsvc.conformance.point import Point
from jobsvc.conformance.rules import UNKNOWN_FIELDS, job_rule, payload_rule, worker_rule
from jobsvc.conformance.stage import SLACK_SECONDS, SOON_SECONDS
from jobsvc.conformance.work_stage import WorkStage

#: Of the contract.
_ACKNOWLEDGE_SECONDS = 5.0
#: Longer than it takes to see whether a job was acknowledged before it ends.
_LONG_MS = 60_000
_TEXTS = {"text": 'Grüße, 世界 \U0001f600 "\\/ \u2028', "list": [1, [], {}, None, True], "x": 1.5}
_NUMBERS = {
    "largest": 9007199254740991,
    "smallest": -9007199254740991,
    "past_32_bits": 4294967296,
    "double": 1.7976931348623157e308,
    "tiny": 5e-324,
    "fraction": 0.1,
    "id": "9007199254740993",
}


async def _output(stage: WorkStage) -> None:
    stream = await stage.subscribed()
    value = await stage.returned(stream.dispatch(_TEXTS).lease_ids[0])
    stage.require(value == _TEXTS, "an output differs from its input")


async def _empty_input(stage: WorkStage) -> None:
    stream = await stage.subscribed()
    value = await stage.returned(stream.dispatch({}).lease_ids[0])
    stage.require(value == {}, "the output of an empty input is not empty")


async def _large_numbers(stage: WorkStage) -> None:
    stream = await stage.subscribed()
    value = await stage.returned(stream.dispatch(_NUMBERS).lease_ids[0])
    wrong = [name for name, number in _NUMBERS.items() if value.get(name) != number]
    stage.require(not wrong, f"numbers came back changed: {', '.join(wrong)}")


async def _many_leases(stage: WorkStage) -> None:
    stream = await stage.subscribed()
    for lease_id in stream.dispatch(*({"number": n} for n in range(4))).lease_ids:
        await stage.returned(lease_id)


async def _failure(stage: WorkStage) -> None:
    stream = await stage.subscribed()
    failing = stream.dispatch({"fail": "asked to"}).lease_ids[0]
    outcome = await stage.outcome(failing, "failure")
    message = outcome.failure.error.message
    stage.require("asked to" in message, f"the message of the failure is {message[:60]!r}")


async def _acknowledge(stage: WorkStage) -> None:
    stream = await stage.subscribed(extend_seconds=30)
    dispatched = stream.dispatch({"sleep_ms": _LONG_MS})
    await stage.until(
        lambda: stream.confirmed(dispatched),
        _ACKNOWLEDGE_SECONDS + SLACK_SECONDS,
        "confirmation of a `dispatch`",
    )


async def _sequence(stage: WorkStage) -> None:
    stream = await stage.subscribed(extend_seconds=30)
    for _ in range(3):
        stream.heartbeat()
    dispatched = stream.dispatch({"sleep_ms": _LONG_MS})
    await stage.until(
        lambda: stream.confirmed(dispatched),
        _ACKNOWLEDGE_SECONDS + SLACK_SECONDS,
        f"confirmation of frame {dispatched.sequence}, a `dispatch` behind other frames",
    )


async def _unknown_frames(stage: WorkStage) -> None:
    stream = await stage.subscribed()
    before = stream.dispatch({"sleep_ms": 1000, "number": 1})
    stream.send_unknown()
    after = stream.dispatch({"number": 2})
    for lease_id in (*before.lease_ids, *after.lease_ids):
        await stage.returned(lease_id)
    stage.require(len(stage.streams) == 1, "it left the stream on which there was such a frame")


async def _unknown_fields(stage: WorkStage) -> None:
    stream = await stage.opened()
    stream.adds_unknown_fields = True
    stream.accept(extend_seconds=1)
    lease_id = stream.dispatch({"sleep_ms": 2500}).lease_ids[0]
    await stage.returned(lease_id, SOON_SECONDS)
    stage.require(len(stage.streams) == 1, "it left the stream on which there was such a field")


POINTS = (
    Point(
        "output",
        "returns what its processor returns",
        payload_rule("Payload", "always one JSON object, in one of two spellings"),
        _output,
    ),
    Point(
        "empty-input",
        "takes an empty input, set or unset",
        worker_rule(
            "JobLease.input", "For the empty object: `{}` as `json_text`, unset as `json`."
        ),
        _empty_input,
    ),
    Point(
        "large-numbers",
        "keeps numbers, up to 2^53 and as doubles",
        payload_rule("Payload.json", "Numbers are IEEE 754 doubles"),
        _large_numbers,
    ),
    Point(
        "many-leases",
        "takes several jobs in one frame",
        worker_rule("WorkResponse.dispatch", "Brings leased jobs: up to 100"),
        _many_leases,
    ),
    Point(
        "failure",
        "reports a failure with a code",
        job_rule("JobError.code", "Canonical code. OK is not allowed."),
        _failure,
    ),
    Point(
        "acknowledge",
        "confirms a `dispatch` before its jobs end",
        worker_rule("WorkerService.Work, 2", "The worker confirms each within 5 seconds"),
        _acknowledge,
    ),
    Point(
        "sequence",
        "acknowledges by the number of the frame",
        worker_rule(
            "Acknowledge",
            "All frames are numbered alike, so one that names any later frame confirms every"
            " `dispatch` before it",
        ),
        _sequence,
    ),
    Point(
        "unknown-frames",
        "ignores frames of unknown kinds",
        worker_rule("WorkResponse", "Ignore kinds that you do not know."),
        _unknown_frames,
    ),
    Point("unknown-fields", "ignores unknown fields", UNKNOWN_FIELDS, _unknown_fields),
)
