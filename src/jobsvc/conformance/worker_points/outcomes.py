"""Points: what a worker does with an outcome until it is decided."""

from google.rpc import code_pb2

from jobsvc.conformance.point import Point
from jobsvc.conformance.refusal import BROKEN
from jobsvc.conformance.rules import worker_rule
from jobsvc.conformance.served_stream import ServedStream
from jobsvc.conformance.stage import SOON_SECONDS
from jobsvc.conformance.work_stage import WorkStage

#: How long to look for what must not come: two extensions long.
_LOOK_SECONDS = 3.0


async def _answered(stage: WorkStage, code: int) -> tuple[ServedStream, str]:
    """Lets a job end, and answers its outcome with a code."""
    stream = await stage.subscribed(extend_seconds=1)
    stream.outcome_code = code
    lease_id = stream.dispatch({"number": 1}).lease_ids[0]
    await stage.outcome(lease_id)
    return stream, lease_id


async def _sent_again(stage: WorkStage, code: int) -> None:
    stream, lease_id = await _answered(stage, code)
    stream.outcome_code = code_pb2.OK
    again = await stage.outcome(lease_id, after=1)
    first = stage.reports(lease_id)[0].outcome
    stage.require(again == first, "the outcome that it sent again is another one")


async def _unavailable(stage: WorkStage) -> None:
    await _sent_again(stage, code_pb2.UNAVAILABLE)


async def _other_code(stage: WorkStage) -> None:
    await _sent_again(stage, code_pb2.INTERNAL)


async def _forgotten(stage: WorkStage, code: int, why: str) -> None:
    stream, lease_id = await _answered(stage, code)
    count = len(stage.reports(lease_id))

    def sent_again() -> bool:
        return len(stage.reports(lease_id)) > count

    await stage.never(sent_again, _LOOK_SECONDS, f"it sent an outcome again that was {why}")
    stream.end(BROKEN)
    following = await stage.subscribed(SOON_SECONDS, extend_seconds=1)
    assert following.subscribe is not None
    held = following.subscribe.held_lease_ids
    stage.require(lease_id not in held, f"it holds a lease whose outcome was {why}")
    await stage.never(sent_again, 1.0, f"it sent an outcome again that was {why}")


async def _committed(stage: WorkStage) -> None:
    await _forgotten(stage, code_pb2.OK, "committed")


async def _lease_lost(stage: WorkStage) -> None:
    await _forgotten(stage, code_pb2.FAILED_PRECONDITION, "answered with LEASE_LOST")


async def _malformed(stage: WorkStage) -> None:
    stream, lease_id = await _answered(stage, code_pb2.INVALID_ARGUMENT)
    stream.outcome_code = code_pb2.OK
    refused = stage.reports(lease_id)[0].outcome

    def sent_again() -> bool:
        return any(report.outcome == refused for report in stage.reports(lease_id)[1:])

    await stage.never(sent_again, _LOOK_SECONDS, "it sent a malformed outcome again as it was")


async def _over_break(stage: WorkStage) -> None:
    stream = await stage.subscribed()
    stream.outcome_code = None
    lease_id = stream.dispatch({"number": 1}).lease_ids[0]
    first = await stage.outcome(lease_id)
    stream.end(BROKEN)
    following = await stage.opened(SOON_SECONDS)
    assert following.subscribe is not None
    held = following.subscribe.held_lease_ids
    stage.require(lease_id in held, "`held_lease_ids` lacks the lease of an unconfirmed outcome")
    following.accept()
    again = await stage.outcome(lease_id, after=1)
    stage.require(again == first, "the outcome that it sent again is another one")


async def _after_ok(stage: WorkStage) -> None:
    stream, lease_id = await _answered(stage, code_pb2.UNAVAILABLE)
    count = len(stage.reports(lease_id))
    stream.end()
    await stage.subscribed(SOON_SECONDS)
    await stage.outcome(lease_id, after=count)


async def _lost_meanwhile(stage: WorkStage) -> None:
    stream = await stage.subscribed()
    stream.outcome_code = None
    lease_id = stream.dispatch({"number": 1}).lease_ids[0]
    await stage.outcome(lease_id)
    stream.tell(lease_id, "LOST", "it was committed, and the answer is on its way")
    dispatched = stream.dispatch({"number": 2})  # By its confirmation the news has been read.
    await stage.until(lambda: stream.confirmed(dispatched), SOON_SECONDS, "confirmation")
    count = len(stage.reports(lease_id))
    stream.end(BROKEN)
    await stage.subscribed(SOON_SECONDS, held={lease_id: "LOST"})
    await stage.outcome(lease_id, after=count)


POINTS = (
    Point(
        "outcome-unavailable",
        "sends again what was UNAVAILABLE",
        worker_rule("OutcomeResult.status", "`UNAVAILABLE`: send it again."),
        _unavailable,
    ),
    Point(
        "outcome-other-code",
        "sends again after any other code",
        worker_rule(
            "OutcomeResult.status",
            "Any other code is a defect of the server, which has recorded nothing: send it again"
            " later.",
        ),
        _other_code,
    ),
    Point(
        "outcome-committed",
        "forgets what is committed",
        worker_rule("OutcomeResult.status", "Code OK: committed, forget it."),
        _committed,
    ),
    Point(
        "outcome-lease-lost",
        "forgets what is answered with LEASE_LOST",
        worker_rule("OutcomeResult.status", "the job is no longer yours, forget it."),
        _lease_lost,
    ),
    Point(
        "outcome-malformed",
        "does not repeat a malformed outcome",
        worker_rule(
            "OutcomeResult.status",
            "A malformed one would be refused again: report a failure in its place, or the lease"
            " runs out.",
        ),
        _malformed,
    ),
    Point(
        "outcome-over-break",
        "keeps an outcome until it is confirmed",
        worker_rule(
            "WorkerService.Work, 3",
            "An outcome counts once `outcome_results` confirms it; keep it until then, and send"
            " it again after a reconnect.",
        ),
        _over_break,
    ),
    Point(
        "outcome-after-ok",
        "keeps what was UNAVAILABLE after an OK",
        worker_rule(
            "ReportOutcomesResponse",
            "so after it only those are left that were answered with `UNAVAILABLE`",
        ),
        _after_ok,
    ),
    Point(
        "outcome-of-lost-lease",
        "keeps an outcome whose lease is gone",
        worker_rule(
            "ReportOutcomesResponse",
            "An outcome is kept until its own result says to forget it, however the stream ends.",
        ),
        _lost_meanwhile,
    ),
)
