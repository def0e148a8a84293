"""Points: how a worker comes back."""

from itertools import pairwise

import grpc

from jobsvc.conformance.point import Point
from jobsvc.conformance.refusal import BROKEN, Refusal
from jobsvc.conformance.rules import CODE_IN_DETAILS, RETRY_INFO, worker_rule
from jobsvc.conformance.stage import SLACK_SECONDS, SOON_SECONDS
from jobsvc.conformance.work_stage import WorkStage

#: Of the contract.
_RECONNECT_SECONDS = 5.0
#: How much later a try may come on a busy machine.
_LATE_SECONDS = 1.0
#: By then the pauses of gRPC itself are longer than that, if they are left as they are.
_AWAY_SECONDS = 20.0
_SILENT_INTERVALS = 3
_RETRY_SECONDS = 2.0
#: What the clocks of two processes may differ by over such a time.
_CLOCK_SECONDS = 0.1


async def _held_leases(stage: WorkStage) -> None:
    stream = await stage.subscribed()
    dispatched = stream.dispatch({"sleep_ms": 3000, "number": 1})
    await stage.until(lambda: stream.confirmed(dispatched), SOON_SECONDS, "confirmation")
    stream.end(BROKEN)
    following = await stage.opened(SOON_SECONDS)
    assert stream.subscribe is not None
    assert following.subscribe is not None
    lease_id = dispatched.lease_ids[0]
    held = following.subscribe.held_lease_ids
    stage.require(lease_id in held, "`held_lease_ids` lacks a running job")
    worker_id = stream.subscribe.worker.worker_id
    stage.require(
        following.subscribe.worker.worker_id == worker_id, "it came back as another worker"
    )
    following.accept()
    value = await stage.returned(lease_id)
    stage.require(value.get("number") == 1, "an output differs from its input")


async def _resume_token(stage: WorkStage) -> None:
    stream = await stage.subscribed(resume_token="token-1")
    for number in (1, 2):
        stream.end(BROKEN)
        stream = await stage.opened(SOON_SECONDS)
        assert stream.subscribe is not None
        token = stream.subscribe.resume_token
        stage.require(
            token == f"token-{number}",
            f"`resume_token` is {token[:20]!r} where `subscribed` had 'token-{number}'",
        )
        stream.accept(resume_token=f"token-{number + 1}")


async def _come_back_after(stage: WorkStage, *refusals: Refusal) -> None:
    stream = await stage.subscribed()
    for refusal in refusals:
        stream.end(refusal)
        stream = await stage.subscribed(SOON_SECONDS)
    await stage.returned(stream.dispatch({"number": 1}).lease_ids[0])


async def _broken(stage: WorkStage) -> None:
    codes = ("UNAVAILABLE", "INTERNAL", "UNKNOWN", "CANCELLED")
    await _come_back_after(stage, *(Refusal(grpc.StatusCode[code]) for code in codes))


async def _code_in_details(stage: WorkStage) -> None:
    changed = Refusal(
        grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING", 0.2, sent_as=grpc.StatusCode.UNKNOWN
    )
    await _come_back_after(stage, changed)


async def _keep_trying(stage: WorkStage) -> None:
    await stage.subscribed()
    came = await stage.refuse_connections(_AWAY_SECONDS)
    times = [0.0, *came, _AWAY_SECONDS]
    longest = max(after - before for before, after in pairwise(times))
    stage.require(
        longest <= _RECONNECT_SECONDS + _LATE_SECONDS,
        f"it did not try to connect for {longest:.1f} s while the server was away",
    )
    await stage.subscribed(_RECONNECT_SECONDS + SLACK_SECONDS)


async def _silence(stage: WorkStage) -> None:
    stream = await stage.subscribed(heartbeat_seconds=1)
    await stage.never(
        lambda: stage.has_opened or stream.cut, 5.0, "it left a stream that had heartbeats"
    )
    stream.silent = True
    await stage.subscribed(_SILENT_INTERVALS + SOON_SECONDS)


async def _stream_limit(stage: WorkStage) -> None:
    stage.refusals = [Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "STREAM_LIMIT", _RETRY_SECONDS)]
    stream = await stage.subscribed()
    waited = stream.opened_at - stage.refused[0]
    stage.require(
        waited >= _RETRY_SECONDS - _CLOCK_SECONDS,
        f"it came again after {waited:.1f} s where `RetryInfo` says {_RETRY_SECONDS:g}",
    )


POINTS = (
    Point(
        "held-leases",
        "comes back with its jobs",
        worker_rule(
            "WorkerService.Work, 7",
            "The worker subscribes again with the same `worker_id` and its `held_lease_ids`.",
        ),
        _held_leases,
    ),
    Point(
        "resume-token",
        "sends the latest `resume_token`",
        worker_rule(
            "Subscribed.resume_token", "Keep it, and send it with every `subscribe` to come"
        ),
        _resume_token,
    ),
    Point(
        "broken-stream",
        "comes back, whatever a proxy calls it",
        worker_rule(
            "WorkerService.Work, 7",
            "it ends without an `ErrorInfo`, see `JobService`, or with `UNAVAILABLE`",
        ),
        _broken,
    ),
    Point("code-in-details", "reads the code in the details", CODE_IN_DETAILS, _code_in_details),
    Point(
        "keep-trying",
        "tries to reconnect every 5 seconds",
        worker_rule(
            "WorkerService.Work, 8",
            "So try to reconnect every 5 seconds at least, however long the server is away.",
        ),
        _keep_trying,
    ),
    Point(
        "silence",
        "gives up a silent stream, and no other",
        worker_rule(
            "Subscribed.heartbeat_interval",
            "Longest silence of the server. After three of these, give the stream up.",
        ),
        _silence,
    ),
    Point("stream-limit", "waits as `RetryInfo` says", RETRY_INFO, _stream_limit),
)
