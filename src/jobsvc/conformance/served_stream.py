"""The server's end of one `Work` stream, which answers as the script of a point says."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from google.rpc import code_pb2, status_pb2
from grpc import aio

from jobsvc.conformance.frame_rules import QUEUE, defect
from jobsvc.conformance.payloads import JsonObject, spell
from jobsvc.conformance.refusal import CODES, Refusal
from jobsvc.conformance.unknown import UNKNOWN_FIELD, add_unknown_fields
from jobsvc.conformance.work_record import Report, WorkRecord
from jobsvc.v1 import worker_service_pb2 as wire
from jobsvc.v1.job_pb2 import StreamHeartbeat
from jobsvc.worker.duration import to_duration

#: How long a lease runs, and how long an attempt may, as the worker is told.
LEASE_SECONDS = 60.0
ATTEMPT_SECONDS = 900.0
#: Reasons of the codes that outcomes are answered with.
_REASONS = {
    code_pb2.FAILED_PRECONDITION: "LEASE_LOST",
    code_pb2.INVALID_ARGUMENT: "INVALID_REQUEST",
    code_pb2.UNAVAILABLE: "DATABASE_UNAVAILABLE",
    code_pb2.INTERNAL: "INTERNAL_ERROR",
}
_Context = aio.ServicerContext[wire.WorkRequest, wire.WorkResponse]


@dataclass(frozen=True, slots=True)
class Dispatched:
    """A dispatch that was sent."""

    sequence: int
    lease_ids: list[str]


class ServedStream:
    """One stream that a worker has opened. The script may change what it answers at any time."""

    def __init__(self, record: WorkRecord, context: _Context) -> None:
        self._record = record
        self._context = context
        self._to_send: asyncio.Queue[wire.WorkResponse | None] = asyncio.Queue()
        self._end: Refusal | None = None
        self._beat_seconds = 1.0
        #: Address of the worker's connection.
        self.connection = context.peer()
        self.opened_at = time.monotonic()
        self.subscribe: wire.Subscribe | None = None
        #: Whether `subscribed` was sent.
        self.accepted = False
        #: Sequence of the last frame that was sent.
        self.sequence = 0
        #: What the worker has sent, in all frames.
        self.kinds: list[str] = []
        self.acknowledged = 0
        #: The window that the worker set last; None before.
        self.window: int | None = None
        self.extended: set[str] = set()
        self.reported: set[str] = set()
        self.max_items = self.max_bytes = 0
        self.half_closed = self.cut = self.ended = False

        #: The code that outcomes are answered with; None leaves them without an answer.
        self.outcome_code: int | None = code_pb2.OK
        self.answers_extensions = True
        #: Says nothing at all, not even a heartbeat.
        self.silent = False
        #: Ends with OK when the worker half-closes.
        self.ends_when_half_closed = True
        #: Adds fields that no message has to what is sent.
        self.adds_unknown_fields = False

    async def serve(self, requests: AsyncIterator[wire.WorkRequest]) -> None:
        """Passes frames in both directions until the stream ends."""
        try:
            async with asyncio.TaskGroup() as group:
                duties = [
                    group.create_task(self._read(requests)),
                    group.create_task(self._beat()),
                ]
                await self._write()
                for duty in duties:
                    duty.cancel()
        except asyncio.CancelledError:
            self.cut = True
            raise
        if self._end is not None:
            await self._end.end(self._context)

    def accept(
        self,
        *,
        extend_seconds: float = 10.0,
        heartbeat_seconds: float = 15.0,
        resume_token: str = "",
        held: dict[str, str] | None = None,
        takes_ids: bool = False,
        max_batch_items: int = 1000,
        max_message_bytes: int = 4 << 20,
    ) -> None:
        """Answers `subscribe`. `held` has the states of leases that are not HELD."""
        assert self.subscribe is not None
        self.accepted = True
        self._record.takes_ids = takes_ids
        self._send(
            subscribed=wire.Subscribed(
                server_id="conformance-kit",
                extend_interval=to_duration(extend_seconds),
                heartbeat_interval=to_duration(heartbeat_seconds),
                held_leases=[
                    _status(lease_id, (held or {}).get(lease_id, "HELD"))
                    for lease_id in self.subscribe.held_lease_ids
                ],
                limits=wire.ServerLimits(
                    max_payload_bytes=256 << 10,
                    max_message_bytes=max_message_bytes,
                    max_batch_items=max_batch_items,
                ),
                takes_succeeded_lease_ids=takes_ids,
                resume_token=resume_token or uuid.uuid4().hex,
            )
        )
        self._beat_seconds = 0.6 * heartbeat_seconds

    def dispatch(self, *inputs: JsonObject) -> Dispatched:
        """Sends jobs with these inputs in one frame."""
        assert self.subscribe is not None
        leases = [self._lease(input_, self.subscribe.payload_encoding) for input_ in inputs]
        lease_ids = [lease.lease_id for lease in leases]
        self._record.lease_ids.update(lease_ids)
        response = wire.LeaseJobsResponse(leases=leases, expires_in=to_duration(LEASE_SECONDS))
        self._send(dispatch=response)
        return Dispatched(self.sequence, lease_ids)

    def tell(self, lease_id: str, state: str, reason: str = "") -> None:
        """Sends the state of a lease: HELD, CANCEL_REQUESTED or LOST."""
        self._record.states[lease_id] = state
        status = _status(lease_id, state, reason)
        self._send(lease_statuses=wire.ExtendLeasesResponse(leases=[status]))

    def tell_no_database(self) -> None:
        """Says that the database is away."""
        self._send(lease_statuses=wire.ExtendLeasesResponse())

    def answer(self, lease_id: str, code: int) -> None:
        """Answers an outcome."""
        self._send(outcome_results=wire.ReportOutcomesResponse(results=[_result(lease_id, code)]))

    def heartbeat(self) -> None:
        """Sends a heartbeat."""
        self._send(heartbeat=StreamHeartbeat())

    def drain(self, grace_seconds: float = 30.0) -> None:
        """Asks the worker to go on on another connection."""
        self._send(drain=wire.Drain(grace=to_duration(grace_seconds), reason="conformance"))

    def retire(self) -> None:
        """Asks the worker to leave for good."""
        self._send(retire=wire.Retire(reason="conformance"))

    def send_unknown(self) -> None:
        """Sends a frame of a kind that no contract has yet, and one of no kind."""
        unknown = wire.WorkResponse()
        unknown.MergeFromString(UNKNOWN_FIELD)
        self._put(unknown)
        self._put(wire.WorkResponse())

    def end(self, refusal: Refusal | None = None) -> None:
        """Ends the stream once all frames are sent; with OK unless there is a refusal."""
        if not self.ended:
            self.ended = True
            self._end = refusal
            self._to_send.put_nowait(None)

    def confirmed(self, dispatched: Dispatched) -> bool:
        """Whether the worker has confirmed a dispatch, in one of the ways that there are."""
        lease_ids = set(dispatched.lease_ids)
        return self.acknowledged >= dispatched.sequence or lease_ids <= (
            self.extended | self.reported
        )

    async def _write(self) -> None:
        while (frame := await self._to_send.get()) is not None:
            try:
                await self._context.write(frame)
            except aio.BaseError:  # the worker is gone
                self.cut = True
                return

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._beat_seconds)
            if self.accepted:
                self.heartbeat()

    async def _read(self, requests: AsyncIterator[wire.WorkRequest]) -> None:
        async for frame in requests:
            self._note(frame)
        self.half_closed = True
        if self.ends_when_half_closed:
            self.end()

    def _note(self, frame: wire.WorkRequest) -> None:
        problem = defect(frame, not self.kinds, self.sequence, self._record.lease_ids)
        self._record.violation = self._record.violation or problem
        kind = frame.WhichOneof("frame") or ""
        self.kinds.append(kind)
        self.max_bytes = max(self.max_bytes, frame.ByteSize())
        match kind:
            case "subscribe":
                self.subscribe = frame.subscribe
            case "acknowledge":
                self.acknowledged = max(self.acknowledged, frame.acknowledge.sequence)
            case "set_window":
                self.window = frame.set_window.window
            case "extend_leases":
                self._note_extensions(frame.extend_leases)
            case "report_outcomes":
                self._note_report(frame.report_outcomes)

    def _note_extensions(self, request: wire.ExtendLeasesRequest) -> None:
        lease_ids = [item.lease_id for item in request.extensions]
        self.max_items = max(self.max_items, len(lease_ids))
        self.extended.update(lease_ids)
        self._record.note_extensions(lease_ids)
        if self.answers_extensions:
            states = self._record.states
            statuses = [_status(i, states.get(i, "HELD")) for i in lease_ids]
            self._send(lease_statuses=wire.ExtendLeasesResponse(leases=statuses))

    def _note_report(self, request: wire.ReportOutcomesRequest) -> None:
        ids = list(request.succeeded_lease_ids)
        by_id = [wire.JobOutcome(lease_id=lease_id, success=wire.JobSuccess()) for lease_id in ids]
        self.max_items = max(self.max_items, len(ids) + len(request.outcomes))
        now = time.monotonic()
        for outcome in (*request.outcomes, *by_id):
            self.reported.add(outcome.lease_id)
            is_by_id = outcome.lease_id in ids
            self._record.reports.append(Report(now, self, outcome, is_by_id))
        code = self.outcome_code
        if code is None:
            return
        committed = ids if code == code_pb2.OK and self._record.takes_ids else []
        self._send(
            outcome_results=wire.ReportOutcomesResponse(
                results=[
                    _result(outcome.lease_id, code)
                    for outcome in (*request.outcomes, *by_id)
                    if outcome.lease_id not in committed
                ],
                committed_lease_ids=committed,
            )
        )

    def _lease(self, input_: JsonObject, encoding: int) -> wire.JobLease:
        job_id = str(uuid.uuid4())
        return wire.JobLease(
            lease_id=f"{job_id}.{uuid.uuid4().int >> 64}",
            job_id=job_id,
            queue=QUEUE,
            input=spell(input_, encoding),
            attempt=1,
            attempt_timeout=to_duration(ATTEMPT_SECONDS),
        )

    def _send(self, **frame: Any) -> None:  # the frame by its name, any of those that there are
        self._put(wire.WorkResponse(**frame))

    def _put(self, frame: wire.WorkResponse) -> None:
        if self.silent or self.ended:
            return
        self.sequence += 1
        frame.sequence = self.sequence
        if self.adds_unknown_fields:
            add_unknown_fields(frame)
        self._to_send.put_nowait(frame)


def _status(lease_id: str, state: str, reason: str = "") -> wire.LeaseStatus:
    return wire.LeaseStatus(
        lease_id=lease_id,
        state=wire.LeaseState.Value(f"LEASE_STATE_{state}"),
        expires_in=None if state == "LOST" else to_duration(LEASE_SECONDS),
        reason=reason,
    )


def _result(lease_id: str, code: int) -> wire.OutcomeResult:
    status = status_pb2.Status(code=code)
    if code != code_pb2.OK:
        status = Refusal(CODES[code], _REASONS[code]).status()
    return wire.OutcomeResult(lease_id=lease_id, status=status)
