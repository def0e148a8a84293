"""Points: how a worker keeps to what `subscribed` says."""

from google.rpc import code_pb2

from jobsvc.conformance.point import Point
from jobsvc.conformance.refusal import BROKEN
from jobsvc.conformance.rules import worker_rule
from jobsvc.conformance.served_stream import ServedStream
from jobsvc.conformance.stage import SLACK_SECONDS, SOON_SECONDS
from jobsvc.conformance.work_stage import WorkStage

#: Of a dispatch, unless the worker takes more.
_MAX_LEASES = 100
_LONG_MS = 60_000
_MAX_ITEMS = 2
_MAX_BYTES = 512 << 10
_TEXT_BYTES = 200 << 10


async def _sent_at_once(stage: WorkStage, stream: ServedStream, lease_ids: list[str]) -> None:
    """Refuses the outcomes of these leases until all are there, so that they are sent together."""
    stream.outcome_code = code_pb2.UNAVAILABLE
    for lease_id in lease_ids:
        await stage.outcome(lease_id)
    stream.outcome_code = code_pb2.OK
    counts = {lease_id: len(stage.reports(lease_id)) for lease_id in lease_ids}
    for lease_id, count in counts.items():
        await stage.outcome(lease_id, after=count)


async def _full_window(stage: WorkStage) -> None:
    stream = await stage.subscribed(extend_seconds=1)
    assert stream.subscribe is not None
    limit = stream.subscribe.max_dispatch_leases or _MAX_LEASES
    count = min(stream.subscribe.window, limit, _MAX_LEASES)
    lease_ids = stream.dispatch(*[{"sleep_ms": _LONG_MS}] * count).lease_ids

    def kept(lease_id: str) -> bool:
        return len(stage.extensions(lease_id)) >= 2 or bool(stage.reports(lease_id))

    await stage.until(
        lambda: all(map(kept, lease_ids)),
        2 + SLACK_SECONDS,
        f"two extensions of each of {count} leases, as many as its window,",
    )


async def _batch_items(stage: WorkStage) -> None:
    stream = await stage.subscribed(extend_seconds=1, max_batch_items=_MAX_ITEMS)
    dispatched = stream.dispatch(*[{"sleep_ms": 1500}] * 4)
    await _sent_at_once(stage, stream, dispatched.lease_ids)
    stage.require(
        stream.max_items <= _MAX_ITEMS,
        f"a frame has {stream.max_items} items; `max_batch_items` is {_MAX_ITEMS}",
    )


async def _message_bytes(stage: WorkStage) -> None:
    stream = await stage.subscribed(extend_seconds=1, max_message_bytes=_MAX_BYTES)
    jobs = [stream.dispatch({"text": "x" * _TEXT_BYTES}) for _ in range(4)]
    await _sent_at_once(stage, stream, [job.lease_ids[0] for job in jobs])
    stage.require(
        stream.max_bytes <= _MAX_BYTES,
        f"a frame has {stream.max_bytes} bytes; `max_message_bytes` is {_MAX_BYTES}",
    )


async def _no_ids(stage: WorkStage) -> None:
    stream = await stage.subscribed(takes_ids=False)
    lease_id = stream.dispatch({}).lease_ids[0]
    await stage.outcome(lease_id)
    used = stage.reports(lease_id)[0].is_by_id
    stage.require(not used, "it sent `succeeded_lease_ids` to a server that does not know them")


async def _committed_ids(stage: WorkStage) -> None:
    stream = await stage.subscribed(takes_ids=True)
    lease_id = stream.dispatch({}).lease_ids[0]
    await stage.outcome(lease_id)
    running = stream.dispatch({"sleep_ms": 1500}).lease_ids[0]
    await stage.outcome(running)
    stream.end(BROKEN)
    following = await stage.subscribed(SOON_SECONDS, takes_ids=True)
    assert following.subscribe is not None
    held = following.subscribe.held_lease_ids
    stage.require(lease_id not in held, "it holds a lease that was committed")
    count = len(stage.reports(lease_id))
    await stage.never(
        lambda: len(stage.reports(lease_id)) > count, 2.0, "it sent a committed success again"
    )


POINTS = (
    Point(
        "full-window",
        "keeps as many leases as its window",
        worker_rule("Subscribe.window", "The server pushes while fewer are unresolved."),
        _full_window,
    ),
    Point(
        "batch-items",
        "sends no more items than the server takes",
        worker_rule(
            "ServerLimits.max_batch_items",
            "Most items in one `extend_leases` or `report_outcomes`.",
        ),
        _batch_items,
    ),
    Point(
        "message-bytes",
        "sends no larger frames than the server takes",
        worker_rule("ServerLimits.max_message_bytes", "Largest message that the server accepts."),
        _message_bytes,
    ),
    Point(
        "no-ids",
        "sends `succeeded_lease_ids` only if invited",
        worker_rule(
            "Subscribed.takes_succeeded_lease_ids",
            "A server that does not say so does not know them.",
        ),
        _no_ids,
    ),
    Point(
        "committed-ids",
        "forgets `committed_lease_ids`",
        worker_rule(
            "ReportOutcomesResponse.committed_lease_ids",
            "Those of `succeeded_lease_ids` that are committed: forget them.",
        ),
        _committed_ids,
    ),
)
