"""Points: how a worker begins."""

from jobsvc.conformance.point import Point
from jobsvc.conformance.refusal import BROKEN
from jobsvc.conformance.rules import worker_rule
from jobsvc.conformance.stage import SOON_SECONDS
from jobsvc.conformance.work_stage import WorkStage


async def _subscribe(stage: WorkStage) -> None:
    stream = await stage.opened()
    subscribe = stream.subscribe
    assert subscribe is not None
    stage.require(subscribe.window > 0, "`subscribe.window` is 0, so it gets no jobs")
    stage.require(not subscribe.held_lease_ids, "its first `subscribe` names held leases")
    stage.require(not subscribe.resume_token, "its first `subscribe` has a `resume_token`")
    stream.accept()
    done = stream.dispatch({"number": 1})
    await stage.outcome(done.lease_ids[0])
    await stage.never(lambda: stream.cut or stage.has_opened, 1.0, "it opened a second stream")


async def _worker_id(stage: WorkStage) -> None:
    first = await stage.subscribed()
    first.end(BROKEN)
    second = await stage.subscribed(SOON_SECONDS)
    assert first.subscribe is not None
    assert second.subscribe is not None
    worker_id = first.subscribe.worker.worker_id
    again = second.subscribe.worker.worker_id
    stage.require(again == worker_id, "its `worker_id` is another one after a reconnect")
    await stage.start()
    other = await stage.opened()
    assert other.subscribe is not None
    stage.require(
        other.subscribe.worker.worker_id != worker_id, "two processes have the same `worker_id`"
    )


POINTS = (
    Point(
        "subscribe",
        "begins with `subscribe`, once",
        worker_rule("WorkRequest.subscribe", "Must come first and only once."),
        _subscribe,
    ),
    Point(
        "worker-id",
        "one `worker_id` for each run of a process",
        worker_rule(
            "WorkerInfo.worker_id",
            "Identifies one run of a process: kept over reconnects, new at every start of the"
            " process",
        ),
        _worker_id,
    ),
)
