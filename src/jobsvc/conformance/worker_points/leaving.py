"""Points: how a worker moves on, and how it leaves."""

from google.rpc import code_pb2

from jobsvc.conformance.point import Point
from jobsvc.conformance.refusal import DRAINING
from jobsvc.conformance.rules import worker_rule
from jobsvc.conformance.stage import SOON_SECONDS
from jobsvc.conformance.work_stage import WorkStage

_RUN_MS = 2500


async def _drain(stage: WorkStage) -> None:
    stream = await stage.subscribed(resume_token="of-the-first")
    dispatched = stream.dispatch({"sleep_ms": _RUN_MS})
    await stage.until(lambda: stream.confirmed(dispatched), SOON_SECONDS, "confirmation")
    stream.drain()
    following = await stage.opened(SOON_SECONDS)
    subscribe = following.subscribe
    assert subscribe is not None
    stage.require(
        subscribe.resume_token == "of-the-first", "the new stream lacks the `resume_token`"
    )
    held = subscribe.held_lease_ids
    stage.require(dispatched.lease_ids[0] in held, "`held_lease_ids` lacks a running job")
    stage.require(
        following.connection != stream.connection, "the new stream is on the old connection"
    )
    following.accept()
    await stage.returned(dispatched.lease_ids[0])


async def _old_stream(stage: WorkStage) -> None:
    stream = await stage.subscribed()
    stream.ends_when_half_closed = False
    stream.outcome_code = None
    lease_id = stream.dispatch({"number": 1}).lease_ids[0]
    await stage.outcome(lease_id)
    stream.drain()
    following = await stage.opened(SOON_SECONDS)
    await stage.never(
        lambda: stream.half_closed or stream.cut,
        1.0,
        "it left the old stream before the new one was subscribed",
    )
    count = len(stage.reports(lease_id))
    following.accept()
    await stage.until(lambda: stream.half_closed, SOON_SECONDS, "half-close of the old stream")
    await stage.never(
        lambda: stream.cut, 1.0, "it cut the old stream before the last confirmations"
    )
    stream.end(DRAINING)
    await stage.until(
        lambda: any(r.stream is following for r in stage.reports(lease_id)[count:]),
        SOON_SECONDS,
        "outcome on the new stream that the old one did not confirm",
    )


async def _leave(stage: WorkStage) -> None:
    stream = await stage.subscribed()
    stream.ends_when_half_closed = False
    dispatched = stream.dispatch({"sleep_ms": _RUN_MS}, {"sleep_ms": 500})
    await stage.until(lambda: stream.confirmed(dispatched), SOON_SECONDS, "confirmation")
    stage.program.terminate()
    await stage.until(lambda: stream.window == 0, SOON_SECONDS, "`set_window` 0 after SIGTERM")
    last, first = dispatched.lease_ids
    await stage.outcome(first)
    stream.outcome_code = None
    await stage.outcome(last)
    await stage.never(lambda: stream.cut, 1.0, "it left before its outcomes were confirmed")
    for lease_id in dispatched.lease_ids:
        stream.answer(lease_id, code_pb2.OK)
    stream.outcome_code = code_pb2.OK
    await stage.until(lambda: stream.half_closed, SOON_SECONDS, "half-close")
    await stage.never(lambda: stream.cut, 0.5, "it cut the stream that it had half-closed")
    stage.may_end = True
    stream.end()
    await stage.until(
        lambda: stage.program.exit_code is not None, SOON_SECONDS, "end of the process"
    )
    stage.require(not stage.has_opened, "it opened another stream")


async def _late_dispatch(stage: WorkStage) -> None:
    stream = await stage.subscribed()
    running = stream.dispatch({"sleep_ms": _RUN_MS})
    await stage.until(lambda: stream.confirmed(running), SOON_SECONDS, "confirmation")
    stage.program.terminate()
    stage.may_end = True
    await stage.until(lambda: stream.window == 0, SOON_SECONDS, "`set_window` 0 after SIGTERM")
    late = stream.dispatch({"number": 1}).lease_ids[0]
    await stage.until(lambda: stream.half_closed or stream.cut, SOON_SECONDS, "half-close")
    stage.require(
        stage.reports(late), "it neither ended nor released a job that came after `set_window`"
    )


async def _retire(stage: WorkStage) -> None:
    stream = await stage.subscribed()
    dispatched = stream.dispatch({"sleep_ms": _RUN_MS})
    await stage.until(lambda: stream.confirmed(dispatched), SOON_SECONDS, "confirmation")
    stage.may_end = True
    stream.retire()
    await stage.returned(dispatched.lease_ids[0])
    await stage.never(
        lambda: stage.program.exit_code is not None and stream.window != 0,
        1.0,
        "it ended without `set_window` 0",
    )


POINTS = (
    Point(
        "drain",
        "goes on on another connection",
        worker_rule(
            "WorkerService.Work, 6",
            "The worker opens a new stream with its `resume_token` and `held_lease_ids`, on a new"
            " connection",
        ),
        _drain,
    ),
    Point(
        "drain-old-stream",
        "leaves the old stream in order",
        worker_rule(
            "WorkerService.Work, 6",
            "With the new one subscribed, the worker half-closes the old one, reads its last"
            " confirmations, and sends on the new one what it did not confirm.",
        ),
        _old_stream,
    ),
    Point(
        "leave",
        "ends what it holds, then leaves",
        worker_rule(
            "WorkerService.Work, 5",
            "To leave, the worker sends `set_window` 0, ends or releases its jobs, and"
            " half-closes; the server confirms the last outcomes and ends with OK.",
        ),
        _leave,
    ),
    Point(
        "leave-late-dispatch",
        "returns what crossed its `set_window`",
        worker_rule("SetWindow.window", "Leases above a lowered window are kept."),
        _late_dispatch,
    ),
    Point(
        "retire",
        "finishes what it holds when retired",
        worker_rule(
            "Retire",
            "Asks the worker to finish what it holds, take no more, and leave as in 5",
        ),
        _retire,
    ),
)
