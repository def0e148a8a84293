"""The rules that every frame of a worker must keep, whatever is being tried. Pure."""

import re
from collections.abc import Container, Iterator

from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2

from jobsvc.domain.limits import (
    MAX_DELAY_SECONDS,
    MAX_ERROR_CHARACTERS,
    MAX_HELD_LEASES,
    MAX_LEASE_SECONDS,
    MAX_NOTE_CHARACTERS,
    MAX_TRACE_CHARACTERS,
    MAX_WINDOW,
    MAX_WORKER_QUEUES,
    MIN_LEASE_SECONDS,
)
from jobsvc.plain_text import has_controls
from jobsvc.v1.job_pb2 import JobError, JobProgress
from jobsvc.v1.worker_service_pb2 import (
    ExtendLeasesRequest,
    JobOutcome,
    ReportOutcomesRequest,
    Subscribe,
    WorkRequest,
)
from jobsvc.worker.duration import from_duration

#: The queue from which the worker under test takes jobs.
QUEUE = "conformance"
_MAX_ITEMS = 1000
_MAX_DISPATCH_LEASES = 1000
_REASON = re.compile(r"[A-Z][A-Z0-9_]{0,61}[A-Z0-9]")


def defect(frame: WorkRequest, is_first: bool, last_sequence: int, leases: Container[str]) -> str:
    """Returns what is wrong with a frame, empty if nothing is.

    `last_sequence` is that of the last frame that was sent to the worker, `leases` are those that
    it was given.
    """
    return next(_defects(frame, is_first, last_sequence, leases), "")


def _defects(
    frame: WorkRequest, is_first: bool, last_sequence: int, leases: Container[str]
) -> Iterator[str]:
    kind = frame.WhichOneof("frame")
    if kind is None:
        yield "it sent a frame of no kind"
    elif is_first != (kind == "subscribe"):
        yield f"its first frame was `{kind}`" if is_first else "it sent `subscribe` twice"
    match kind:
        case "subscribe":
            yield from _in_subscribe(frame.subscribe)
        case "set_window":
            if not 0 <= frame.set_window.window <= MAX_WINDOW:
                yield f"`set_window.window` is {frame.set_window.window}"
        case "acknowledge":
            if not 1 <= frame.acknowledge.sequence <= last_sequence:
                yield (
                    f"it acknowledged frame {frame.acknowledge.sequence};"
                    f" the last one was {last_sequence}"
                )
        case "extend_leases":
            yield from _in_extensions(frame.extend_leases, leases)
        case "report_outcomes":
            yield from _in_report(frame.report_outcomes, leases)


def _in_subscribe(subscribe: Subscribe) -> Iterator[str]:
    worker = subscribe.worker
    if not 1 <= len(worker.worker_id) <= 128:
        yield f"`worker_id` has {len(worker.worker_id)} characters"
    if len(worker.version) > 64 or len(worker.sdk) > 64 or len(worker.labels) > 16:
        yield "a text in `subscribe.worker` is too long, or it has too many labels"
    texts = (worker.worker_id, worker.version, worker.sdk, *worker.labels, *worker.labels.values())
    if any(has_controls(text) for text in texts):
        yield "a text in `subscribe.worker` has control characters"
    if not 1 <= len(subscribe.queues) <= MAX_WORKER_QUEUES:
        yield f"it subscribed to {len(subscribe.queues)} queues"
    elif QUEUE not in {each.queue for each in subscribe.queues}:
        yield f"it did not subscribe to the queue `{QUEUE}`"
    if any(each.max_leases < 0 for each in subscribe.queues):
        yield "`max_leases` is negative"
    if not 0 <= subscribe.window <= MAX_WINDOW:
        yield f"`subscribe.window` is {subscribe.window}"
    if len(subscribe.held_lease_ids) > MAX_HELD_LEASES:
        yield f"it named {len(subscribe.held_lease_ids)} held leases"
    if not 0 <= subscribe.max_dispatch_leases <= _MAX_DISPATCH_LEASES:
        yield f"`max_dispatch_leases` is {subscribe.max_dispatch_leases}"
    if len(subscribe.resume_token) > 64:
        yield "`resume_token` has more than 64 characters"
    if subscribe.HasField("lease_duration"):
        yield from _in_lease_length("subscribe.lease_duration", subscribe.lease_duration)


def _in_extensions(request: ExtendLeasesRequest, leases: Container[str]) -> Iterator[str]:
    if not 1 <= len(request.extensions) <= _MAX_ITEMS:
        yield f"`extend_leases` has {len(request.extensions)} items"
    for item in request.extensions:
        if item.lease_id not in leases:
            yield f"it extended {_named(item.lease_id)}"
        if item.HasField("duration"):
            yield from _in_lease_length("extensions.duration", item.duration)
        if item.HasField("progress"):
            yield from _in_progress(item.progress)


def _in_report(request: ReportOutcomesRequest, leases: Container[str]) -> Iterator[str]:
    count = len(request.outcomes) + len(request.succeeded_lease_ids)
    if not 1 <= count <= _MAX_ITEMS:
        yield f"`report_outcomes` has {count} items"
    for lease_id in request.succeeded_lease_ids:
        if lease_id not in leases:
            yield f"it reported on {_named(lease_id)}"
    for outcome in request.outcomes:
        if outcome.lease_id not in leases:
            yield f"it reported on {_named(outcome.lease_id)}"
        yield from _in_outcome(outcome)


def _in_outcome(outcome: JobOutcome) -> Iterator[str]:
    if outcome.HasField("progress"):
        yield from _in_progress(outcome.progress)
    match outcome.WhichOneof("result"):
        case None:
            yield "an outcome has no result"
        case "failure":
            if not outcome.failure.HasField("error"):
                yield "`failure.error` is missing"
            yield from _in_error(outcome.failure.error)
            yield from _in_delay("failure.retry_delay", outcome.failure.retry_delay)
        case "release":
            yield from _in_delay("release.delay", outcome.release.delay)
            if len(outcome.release.reason) > MAX_NOTE_CHARACTERS:
                yield "`release.reason` is too long"
        case "cancelled":
            if len(outcome.cancelled.message) > MAX_NOTE_CHARACTERS:
                yield "`cancelled.message` is too long"


def _in_error(error: JobError) -> Iterator[str]:
    if error.code == code_pb2.OK:
        yield "`failure.error.code` is OK"
    if error.reason and not _REASON.fullmatch(error.reason):
        yield f"`failure.error.reason` is {error.reason[:40]!r}"
    if len(error.message) > MAX_ERROR_CHARACTERS or len(error.stack_trace) > MAX_TRACE_CHARACTERS:
        yield "a text in `failure.error` is too long"


def _in_progress(progress: JobProgress) -> Iterator[str]:
    if not 0 <= progress.percent <= 100:
        yield f"`progress.percent` is {progress.percent}"
    if len(progress.message) > MAX_NOTE_CHARACTERS:
        yield "`progress.message` is too long"


def _in_lease_length(name: str, length: Duration) -> Iterator[str]:
    seconds = from_duration(length)
    if not MIN_LEASE_SECONDS <= seconds <= MAX_LEASE_SECONDS:
        yield f"`{name}` is {seconds:g} s"


def _in_delay(name: str, delay: Duration) -> Iterator[str]:
    seconds = from_duration(delay)
    if not 0 <= seconds <= MAX_DELAY_SECONDS:
        yield f"`{name}` is {seconds:g} s"


def _named(lease_id: str) -> str:
    return f"a lease that it was not given, {lease_id[:40]!r}"
