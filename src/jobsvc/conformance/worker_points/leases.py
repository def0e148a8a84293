"""Points: how a worker keeps its leases, and hears how they stand."""

import grpc
from google.rpc import code_pb2

from jobsvc.conformance.point import Point
from jobsvc.conformance.refusal import BROKEN, DRAINING, Refusal
from jobsvc.conformance.rules import worker_rule
from jobsvc.conformance.served_stream import ServedStream
from jobsvc.conformance.stage import SLACK_SECONDS, SOON_SECONDS
from jobsvc.conformance.work_stage import WorkStage

_LONG_MS = 60_000
_REPLACED = Refusal(grpc.StatusCode.ABORTED, "WORKER_REPLACED")


async def _running(stage: WorkStage, *milliseconds: int) -> tuple[ServedStream, list[str]]:
    """A stream that asks for an extension every second, and jobs that the worker has confirmed."""
    stream = await stage.subscribed(extend_seconds=1)
    dispatched = stream.dispatch(*({"sleep_ms": each} for each in milliseconds))
    await stage.until(
        lambda: stream.confirmed(dispatched), SOON_SECONDS, "confirmation of a `dispatch`"
    )
    return stream, dispatched.lease_ids


async def _extend(stage: WorkStage) -> None:
    _, lease_ids = await _running(stage, _LONG_MS, _LONG_MS)
    await stage.until(
        lambda: all(len(stage.extensions(lease_id)) >= 4 for lease_id in lease_ids),
        4 + SLACK_SECONDS,
        "four extensions of each running job, with an `extend_interval` of 1 s,",
    )


async def _lost(stage: WorkStage) -> None:
    stream, (lost, kept) = await _running(stage, 4000, _LONG_MS)
    stream.tell(lost, "LOST", "conformance")
    count = len(stage.extensions(kept))
    await stage.until(
        lambda: len(stage.extensions(kept)) >= count + 2, SOON_SECONDS, "extensions of the other"
    )
    count = len(stage.extensions(lost))

    def succeeded() -> bool:
        return any(report.outcome.HasField("success") for report in stage.reports(lost))

    await stage.never(
        lambda: len(stage.extensions(lost)) > count and not succeeded(),
        3.0,
        "it goes on extending a lost lease",
    )
    stage.require(not succeeded(), "a job whose lease was lost went on to its end")


async def _cancel(stage: WorkStage) -> None:
    stream, lease_ids = await _running(stage, _LONG_MS)
    stream.tell(lease_ids[0], "CANCEL_REQUESTED", "conformance")
    await stage.outcome(lease_ids[0], "cancelled")


async def _cancel_extends(stage: WorkStage) -> None:
    stream = await stage.subscribed(extend_seconds=1)
    dispatched = stream.dispatch({"sleep_ms": _LONG_MS, "cleanup_ms": 4000})
    lease_id = dispatched.lease_ids[0]
    await stage.until(lambda: stage.extensions(lease_id), SOON_SECONDS, "extension of a job")
    stream.tell(lease_id, "CANCEL_REQUESTED", "conformance")
    count = len(stage.extensions(lease_id))
    await stage.outcome(lease_id, "cancelled")
    stage.require(
        len(stage.extensions(lease_id)) >= count + 2,
        "it did not extend the lease of a job that was cleaning up for 4 s",
    )


async def _late_news(stage: WorkStage) -> None:
    stream = await stage.subscribed(extend_seconds=1)
    ended = stream.dispatch({"number": 1}).lease_ids[0]
    await stage.outcome(ended)
    stream.tell(ended, "LOST", "its job has ended")
    stream.tell(ended, "CANCEL_REQUESTED", "too late")
    stream.answer(ended, code_pb2.FAILED_PRECONDITION)
    await stage.returned(stream.dispatch({"sleep_ms": 1500}).lease_ids[0])
    stage.require(len(stage.streams) == 1, "it left the stream")


async def _unanswered(stage: WorkStage) -> None:
    stream, lease_ids = await _running(stage, _LONG_MS)
    stream.answers_extensions = False
    second = await stage.opened(SOON_SECONDS)
    assert second.subscribe is not None
    held = second.subscribe.held_lease_ids
    stage.require(lease_ids[0] in held, "`held_lease_ids` lacks a running job")
    gone = stream.half_closed or stream.cut
    stage.require(not gone, "it left the first stream before the second was subscribed")


async def _no_database(stage: WorkStage) -> None:
    stream, lease_ids = await _running(stage, _LONG_MS)
    stream.tell_no_database()
    second = await stage.opened(SOON_SECONDS)
    assert second.subscribe is not None
    held = second.subscribe.held_lease_ids
    stage.require(lease_ids[0] in held, "`held_lease_ids` lacks a running job")
    second.accept()
    await stage.until(lambda: stream.half_closed, SOON_SECONDS, "half-close of the first stream")


async def _keep_first(stage: WorkStage) -> None:
    first, _ = await _running(stage, _LONG_MS)
    first.tell_no_database()
    second = await stage.opened(SOON_SECONDS)
    late = first.dispatch({"number": 2})
    await stage.never(
        lambda: first.half_closed or first.cut,
        1.0,
        "it left the first stream before the second was subscribed",
    )
    second.end(DRAINING)
    await stage.until(
        lambda: first.confirmed(late), SOON_SECONDS, "confirmation on the first stream"
    )
    await stage.returned(late.lease_ids[0])


async def _replaced(stage: WorkStage) -> None:
    first, (running,) = await _running(stage, 4000)
    first.tell_no_database()
    second = await stage.opened(SOON_SECONDS)
    # As a server does it: the first stream may end before the second one has its answer.
    first.end(_REPLACED)
    second.accept(extend_seconds=1)
    await stage.returned(second.dispatch({"number": 2}).lease_ids[0])
    await stage.returned(running)


async def _held_news(stage: WorkStage) -> None:
    stream, (cancelled, lost) = await _running(stage, _LONG_MS, 5000)
    stream.end(BROKEN)
    states = {cancelled: "CANCEL_REQUESTED", lost: "LOST"}
    stage.record.states.update(states)
    following = await stage.subscribed(SOON_SECONDS, extend_seconds=30, held=states)
    await stage.outcome(cancelled, "cancelled")
    await stage.never(
        lambda: any(r.outcome.HasField("success") for r in stage.reports(lost)),
        6.0,
        "a job whose lease was lost went on to its end",
    )
    stage.require(not following.cut, "it left the stream")


POINTS = (
    Point(
        "extend",
        "extends every lease at each `extend_interval`",
        worker_rule(
            "WorkerService.Work, 3",
            "The worker sends `extend_leases` every `extend_interval` for the jobs that it is"
            " still running",
        ),
        _extend,
    ),
    Point(
        "lost-lease",
        "stops a job whose lease is lost",
        worker_rule("LeaseState.LEASE_STATE_LOST", "Gone. Stop; reports on it are refused."),
        _lost,
    ),
    Point(
        "cancel",
        "stops a job that is to be cancelled",
        worker_rule(
            "LeaseState.LEASE_STATE_CANCEL_REQUESTED", "stop, clean up, and report `cancelled`."
        ),
        _cancel,
    ),
    Point(
        "cancel-extends",
        "extends while a cancelled job cleans up",
        worker_rule(
            "LeaseState.LEASE_STATE_CANCEL_REQUESTED", "Keep extending the lease meanwhile"
        ),
        _cancel_extends,
    ),
    Point(
        "held-news",
        "reads `held_leases` of `subscribed`",
        worker_rule("Subscribed.held_leases", "State of each of the `held_lease_ids`."),
        _held_news,
    ),
    Point(
        "late-news",
        "is not disturbed by news of ended jobs",
        worker_rule(
            "WorkerService.Work, 4",
            "and unasked when a job is cancelled or a lease is lost.",
        ),
        _late_news,
    ),
    Point(
        "unanswered-extension",
        "opens a second stream if nobody answers",
        worker_rule(
            "WorkerService.Work, 4",
            "if there is no answer within `extend_interval`, open a second stream as under 6",
        ),
        _unanswered,
    ),
    Point(
        "no-database",
        "opens a second stream without a database",
        worker_rule("WorkerService.Work, 4", "One without leases says that the database is away."),
        _no_database,
    ),
    Point(
        "keep-first",
        "keeps the first stream until then",
        worker_rule("WorkerService.Work, 4", "Keep the first until the second is subscribed."),
        _keep_first,
    ),
    Point(
        "replaced-stream",
        "is not ended by its own second stream",
        worker_rule(
            "WorkerService.Work",
            "A second stream of one `worker_id` replaces the first, which ends with `ABORTED`"
            " (`WORKER_REPLACED`)",
        ),
        _replaced,
    ),
)
