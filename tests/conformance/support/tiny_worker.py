"""A worker as small as can be, that keeps every rule but the one which its argument names."""

import asyncio
import json
import os
import signal
import sys
import uuid
from typing import Any

import grpc
from google.protobuf.unknown_fields import UnknownFieldSet
from google.rpc import code_pb2, error_details_pb2, status_pb2

from jobsvc.v1 import worker_service_pb2 as wire
from jobsvc.v1.payload_pb2 import Payload, PayloadEncoding
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub

FAULT = sys.argv[1] if len(sys.argv) > 1 else ""
TARGET = os.environ["JOBSVC_TARGET"]
WORKER_ID = "tiny" if FAULT == "worker-id" else str(uuid.uuid4())
JSON_TEXT = PayloadEncoding.PAYLOAD_ENCODING_JSON_TEXT


def give_up(why: str) -> None:
    """Ends the process at once."""
    print(why, file=sys.stderr, flush=True)
    os._exit(3)


def work(value: dict[str, Any]) -> dict[str, Any]:
    """The output for an input."""
    if FAULT == "output":
        return {**value, "text": "other"}
    if FAULT == "large-numbers":
        return {k: v % 2**32 if isinstance(v, int) else v for k, v in value.items()}
    if FAULT == "empty-input" and not value:
        raise ValueError("empty")
    if "fail" in value and FAULT != "failure":
        raise ValueError(value["fail"])
    return value


class Attempt:
    """A job from its dispatch until its outcome is decided."""

    def __init__(self, lease: wire.JobLease) -> None:
        self.lease_id = lease.lease_id
        self.input = json.loads(lease.input.json_text or "{}")
        self.outcome: wire.JobOutcome | None = None
        self.is_empty = self.sent = self.cancelled = self.lost = False
        self.task: asyncio.Task[None] | None = None

    async def run(self) -> None:
        outcome = wire.JobOutcome(lease_id=self.lease_id)
        try:
            await asyncio.sleep(self.input.get("sleep_ms", 0) / 1000)  # As the job asks.
            output = work(self.input)
            self.is_empty = not output
            outcome.success.output.CopyFrom(Payload(json_text=json.dumps(output)))
        except asyncio.CancelledError:
            await asyncio.sleep(self.input.get("cleanup_ms", 0) / 1000)  # As the job asks.
            outcome.cancelled.SetInParent()
        except ValueError as error:
            outcome.failure.error.code = code_pb2.UNKNOWN
            outcome.failure.error.message = str(error)
        self.outcome = outcome


class Stream:
    """One conversation."""

    def __init__(self, worker: "Worker", channel: grpc.aio.Channel) -> None:
        self.worker, self.channel = worker, channel
        self.out: asyncio.Queue[wire.WorkRequest | None] = asyncio.Queue()
        self.limits = wire.ServerLimits()
        self.takes_ids = False
        self.patience, self.extend_seconds = 10.0, 10.0
        self.unanswered = 0
        self.dispatches = 0
        self.call = WorkerServiceStub(channel).Work()

    def send(self, **frame: Any) -> None:
        self.out.put_nowait(wire.WorkRequest(**frame))

    def half_close(self) -> None:
        self.out.put_nowait(None)

    async def write(self) -> None:
        try:
            while (frame := await self.out.get()) is not None:
                await self.call.write(frame)
            await self.call.done_writing()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            return  # The reader hears why.

    async def run(self) -> grpc.aio.AioRpcError | None:
        """Returns how it ended; None for OK."""
        writing = asyncio.create_task(self.write())
        try:
            while True:
                async with asyncio.timeout(None if FAULT == "silence" else self.patience):
                    frame = await self.call.read()
                if frame is grpc.aio.EOF:
                    return None
                self.worker.receive(self, frame)
        except TimeoutError:
            self.call.cancel()
            return grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, None, None, "silent")
        except grpc.aio.AioRpcError as error:
            return error
        finally:
            writing.cancel()
            if self.channel is not self.worker.only_channel:
                await self.channel.close()


class Worker:
    """What is held, and every decision."""

    def __init__(self) -> None:
        self.held: dict[str, Attempt] = {}
        self.current: Stream | None = None
        self.opening: Stream | None = None
        self.aside: list[wire.WorkResponse] = []
        self.token = ""
        self.leaving = False
        self.left = asyncio.Event()
        self.only_channel: grpc.aio.Channel | None = None
        self.tasks = set[asyncio.Task[None]]()

    def spawn(self, work: Any) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def channel(self) -> grpc.aio.Channel:
        if FAULT == "drain":
            self.only_channel = self.only_channel or grpc.aio.insecure_channel(TARGET)
            return self.only_channel
        options = [
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.max_receive_message_length", -1),
            ("grpc.enable_retries", 0),
        ]
        return grpc.aio.insecure_channel(TARGET, options)

    def worker_id(self) -> str:
        return str(uuid.uuid4()) if FAULT == "worker-id:new" else WORKER_ID

    def open(self) -> None:
        if self.opening is not None:
            return
        stream = self.opening = Stream(self, self.channel())
        if FAULT == "keep-first" and self.current is not None:
            self.current.call.cancel()
        if FAULT == "subscribe":
            stream.send(set_window=wire.SetWindow(window=8))
        subscribe = wire.Subscribe(
            worker=wire.WorkerInfo(worker_id=self.worker_id(), sdk="tiny"),
            queues=[wire.QueueSubscription(queue="conformance")],
            window=0 if self.leaving else 8,
            payload_encoding=JSON_TEXT,
            held_lease_ids=[] if FAULT in ("held-leases", "drain:no-leases") else list(self.held),
            resume_token="" if FAULT in ("resume-token", "drain:no-token") else self.token,
        )
        stream.send(subscribe=subscribe)
        self.spawn(self.converse(stream))

    async def converse(self, stream: Stream) -> None:
        error = await stream.run()
        replaced = error is not None and error.code() is grpc.StatusCode.ABORTED
        if replaced and FAULT == "replaced-stream":
            give_up("replaced")
        if stream is self.opening:
            self.opening = None
            aside, self.aside = self.aside, []
            for frame in aside:
                if self.current is not None:
                    self.receive(self.current, frame)
        elif stream is self.current:
            self.current = None
            self.broken(ok=error is None)
        else:
            return
        if self.leaving and not self.held:
            self.left.set()
            return
        await asyncio.sleep(self.pause(error))  # Between two tries.
        self.open()

    def broken(self, ok: bool) -> None:
        for attempt in list(self.held.values()):
            attempt.sent = False
            ended = attempt.outcome is not None
            if ended and (FAULT == "outcome-over-break" or (FAULT == "outcome-after-ok" and ok)):
                del self.held[attempt.lease_id]

    def pause(self, error: grpc.aio.AioRpcError | None) -> float:
        if error is None:
            return 0.2
        details = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
        if FAULT == "broken-stream" and error.code() is grpc.StatusCode.INTERNAL:
            give_up("INTERNAL is final to me")
        if FAULT == "code-in-details" and error.code() is grpc.StatusCode.UNKNOWN and details:
            give_up("UNKNOWN with details is final to me")
        status = status_pb2.Status.FromString(details)
        retry = error_details_pb2.RetryInfo()
        for detail in status.details:
            if detail.Unpack(retry) and FAULT != "stream-limit":
                return retry.retry_delay.ToNanoseconds() / 1e9
        return 8.0 if FAULT == "keep-trying" else 0.2

    def receive(self, stream: Stream, frame: wire.WorkResponse) -> None:
        if FAULT == "unknown-fields" and len(UnknownFieldSet(frame)):
            give_up("a field that I do not know")
        match frame.WhichOneof("frame"):
            case "subscribed":
                self.go_on_with(stream, frame.subscribed)
            case "dispatch":
                self.take(stream, frame)
            case "lease_statuses":
                stream.unanswered = 0
                if not frame.lease_statuses.leases and FAULT != "no-database":
                    self.open()
                self.look(frame.lease_statuses.leases)
            case "outcome_results":
                self.settle(frame.outcome_results)
            case "drain":
                self.open()
            case "retire":
                if FAULT == "retire":
                    give_up("retired")
                self.leave()
            case None:
                if FAULT == "unknown-frames":
                    give_up("a frame that I do not know")
        self.step()

    def go_on_with(self, stream: Stream, subscribed: wire.Subscribed) -> None:
        old, self.current, self.opening, self.aside = self.current, stream, None, []
        if old is not None and FAULT == "drain-old-stream:cut":
            old.call.cancel()
        elif old is not None and FAULT != "drain-old-stream":
            old.half_close()
        if FAULT == "subscribe:twice":
            stream.send(subscribe=wire.Subscribe(worker=wire.WorkerInfo(worker_id=WORKER_ID)))
        stream.limits, stream.takes_ids = subscribed.limits, subscribed.takes_succeeded_lease_ids
        intervals = 0.3 if FAULT == "silence:hasty" else 3
        stream.patience = intervals * subscribed.heartbeat_interval.ToNanoseconds() / 1e9
        stream.extend_seconds = subscribed.extend_interval.ToNanoseconds() / 1e9
        self.token = subscribed.resume_token
        for attempt in self.held.values():
            attempt.sent = False
        if FAULT != "held-news":
            self.look(subscribed.held_leases)
        self.spawn(self.extend(stream))

    def take(self, stream: Stream, frame: wire.WorkResponse) -> None:
        if self.opening is not None:
            self.aside.append(frame)
            return
        stream.dispatches += 1
        if FAULT == "leave-late-dispatch" and self.leaving:
            return
        leases = frame.dispatch.leases[: 1 if FAULT == "many-leases" else None]
        for lease in leases:
            attempt = self.held[lease.lease_id] = Attempt(lease)
            attempt.task = self.spawn(self.run(attempt))
        sequence = stream.dispatches if FAULT == "sequence" else frame.sequence
        if FAULT == "acknowledge:beyond":
            sequence += 100
        if FAULT != "acknowledge":
            stream.send(acknowledge=wire.Acknowledge(sequence=sequence))

    async def run(self, attempt: Attempt) -> None:
        await attempt.run()
        if attempt.lost:
            self.held.pop(attempt.lease_id, None)
        if FAULT == "lost-lease:runs-on":
            self.held[attempt.lease_id] = attempt
        self.step()

    def look(self, statuses: Any) -> None:
        for status in statuses:
            attempt = self.held.get(status.lease_id)
            if attempt is None:
                if FAULT == "late-news":
                    give_up("news of a lease that I do not know")
                continue
            if attempt.outcome is not None:
                lost = status.state == wire.LEASE_STATE_LOST
                if FAULT == "outcome-of-lost-lease" and lost:
                    del self.held[status.lease_id]
                continue
            assert attempt.task is not None
            cancel = status.state == wire.LEASE_STATE_CANCEL_REQUESTED
            if cancel and not attempt.cancelled and FAULT != "cancel":
                attempt.cancelled = True
                attempt.task.cancel()
            if status.state == wire.LEASE_STATE_LOST and FAULT != "lost-lease":
                if FAULT == "lost-lease:runs-on":
                    self.held.pop(attempt.lease_id)
                    continue
                attempt.lost = True
                attempt.task.cancel()

    async def extend(self, stream: Stream) -> None:
        while True:
            await asyncio.sleep(stream.extend_seconds)  # As the server asks.
            if stream is not self.current:
                return
            most = {"extend": 1, "full-window": 4}.get(FAULT)
            held = list(self.held)[:most]
            if FAULT == "cancel-extends":
                held = [each for each in held if not self.held[each].cancelled]
            if not held:
                continue
            if stream.unanswered > 0 and FAULT != "unanswered-extension":
                self.open()
            stream.unanswered += 1
            for attempt in self.held.values():
                attempt.sent = False
            for chunk in self.chunks(stream, held):
                items = [wire.LeaseExtension(lease_id=lease_id) for lease_id in chunk]
                stream.send(extend_leases=wire.ExtendLeasesRequest(extensions=items))
            self.step()

    def chunks(self, stream: Stream, items: list[Any]) -> list[list[Any]]:
        size = 1000 if FAULT == "batch-items" else stream.limits.max_batch_items or 1000
        return [items[start : start + size] for start in range(0, len(items), size)]

    def step(self) -> None:
        """Sends outcomes, and leaves when there is nothing left."""
        stream = self.current
        if stream is None:
            if self.leaving and not self.held:
                self.left.set()
            return
        all_sent = all(each.outcome and each.sent for each in self.held.values())
        if FAULT == "leave:unconfirmed" and self.leaving and all_sent:
            self.spawn(self.vanish())
        due = [each for each in self.held.values() if each.outcome and not each.sent]
        for chunk in self.chunks(stream, due):
            self.report(stream, chunk)
        if self.leaving and not self.held:
            stream.half_close()

    def report(self, stream: Stream, attempts: list[Attempt]) -> None:
        limit = stream.limits.max_message_bytes or 4 << 20
        request, size = wire.ReportOutcomesRequest(), 0
        for attempt in attempts:
            attempt.sent = True
            assert attempt.outcome is not None
            if attempt.is_empty and (stream.takes_ids or FAULT == "no-ids"):
                request.succeeded_lease_ids.append(attempt.lease_id)
                continue
            size += attempt.outcome.ByteSize() + 16
            if request.outcomes and size > limit - 1024 and FAULT != "message-bytes":
                stream.send(report_outcomes=request)
                request, size = wire.ReportOutcomesRequest(), attempt.outcome.ByteSize() + 16
            request.outcomes.append(attempt.outcome)
        stream.send(report_outcomes=request)

    def settle(self, response: wire.ReportOutcomesResponse) -> None:
        if FAULT != "committed-ids":
            for lease_id in response.committed_lease_ids:
                self.held.pop(lease_id, None)
        forgotten = {code_pb2.OK, code_pb2.FAILED_PRECONDITION}
        if FAULT == "outcome-committed":
            forgotten.remove(code_pb2.OK)
        if FAULT == "outcome-lease-lost":
            forgotten.remove(code_pb2.FAILED_PRECONDITION)
        if FAULT == "outcome-unavailable":
            forgotten.add(code_pb2.UNAVAILABLE)
        if FAULT == "outcome-other-code":
            forgotten.add(code_pb2.INTERNAL)
        for result in response.results:
            attempt = self.held.get(result.lease_id)
            if attempt is None or attempt.outcome is None:
                continue
            if FAULT == "outcome-unavailable:other":
                attempt.outcome.failure.error.code = code_pb2.INTERNAL
            if result.status.code in forgotten:
                del self.held[result.lease_id]
            elif result.status.code == code_pb2.INVALID_ARGUMENT and FAULT != "outcome-malformed":
                attempt.sent = attempt.is_empty = False
                attempt.outcome = wire.JobOutcome(lease_id=result.lease_id)
                attempt.outcome.failure.error.code = code_pb2.INTERNAL

    async def vanish(self) -> None:
        await asyncio.sleep(0.2)  # Until the outcomes are on their way.
        give_up("left")

    def leave(self) -> None:
        if FAULT == "leave":
            give_up("left")
        self.leaving = True
        if self.current is not None:
            self.current.send(set_window=wire.SetWindow(window=0))
        self.step()


async def main() -> None:
    worker = Worker()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.leave)
    worker.open()
    await worker.left.wait()


asyncio.run(main())
os._exit(0)
