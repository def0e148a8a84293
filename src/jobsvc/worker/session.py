"""Keeps a worker connected, through every failure of the server, until it leaves."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from math import inf

import grpc

from jobsvc.bearer_token import Token, authorization
from jobsvc.domain.limits import MAX_ATTEMPT_SECONDS, MAX_HELD_LEASES
from jobsvc.v1.payload_pb2 import PayloadEncoding
from jobsvc.v1.worker_service_pb2 import (
    QueueSubscription,
    SetWindow,
    Subscribe,
    WorkerInfo,
    WorkRequest,
    WorkResponse,
)
from jobsvc.worker.bound_processor import BoundProcessor
from jobsvc.worker.failure import describe
from jobsvc.worker.log_throttle import LogThrottle
from jobsvc.worker.loop_watch import LoopWatch
from jobsvc.worker.queue_declaration import declare
from jobsvc.worker.stream_end import StreamEnd, WorkerStopped
from jobsvc.worker.stream_trouble import StreamTrouble
from jobsvc.worker.work_protocol import TICK_SECONDS, WorkProtocol
from jobsvc.worker.work_stream import StreamFailed, WorkStream

#: Longest wait of a leaving worker for its last confirmations and the end of the stream.
CONFIRM_SECONDS = 4.0
#: With more threads that never return, the process must be restarted.
MAX_STUCK_THREADS = 256
#: Maximum of the contract; large frames are cheap.
_MAX_DISPATCH_LEASES = 1000

log = logging.getLogger("jobsvc.worker")


class Session:
    """Subscribes, reconnects, leaves. Runs on its own event loop, in a thread of its own.

    So leases are extended and outcomes are reported while processors block their
    own loop or use up the CPU.
    """

    def __init__(
        self,
        target: str,
        info: WorkerInfo,
        processors: Mapping[str, BoundProcessor],
        protocol: WorkProtocol,
        loop_watch: LoopWatch | None,
        stuck_threads: Callable[[], int],
        on_subscribed: Callable[[], None],
        credentials: grpc.ChannelCredentials | None = None,
        take_back: bool = False,
        token: Token | None = None,
    ) -> None:
        self._target = target
        self._token = token
        self._credentials = credentials
        self._info = info
        self._processors = processors
        self._protocol = protocol
        self._loop_watch = loop_watch
        self._stuck_threads = stuck_threads
        self._on_subscribed = on_subscribed
        self._take_back = take_back
        self._declared = False
        self._trouble = StreamTrouble(target)
        #: Shows the server that the next stream is of this process, too.
        self._resume_token = ""
        self._stream: WorkStream | None = None
        self._holds: set[asyncio.Task[None]] = set()
        self._hurry = asyncio.Event()
        self._changed = asyncio.Event()
        self._leaving = asyncio.Event()
        self._leave_at = inf
        self._problem = ""

    async def run(self) -> None:
        """Works until `leave` is called and every job has ended or is released.

        Raises:
            WorkerStopped: the server refuses this worker for good, or `fail` was called.
        """
        try:
            async with asyncio.TaskGroup() as group:
                duties = [
                    group.create_task(self._stay_connected(group)),
                    group.create_task(self._watch_clock()),
                ]
                await self._wait_and_leave()
                for duty in (*duties, *self._holds):
                    duty.cancel()
        except BaseExceptionGroup as problems:
            stopped, rest = problems.split(WorkerStopped)
            if stopped is None or rest is not None:
                raise
            raise WorkerStopped(str(_first(stopped))) from None
        if self._problem:
            raise WorkerStopped(self._problem)

    def fail(self, problem: str) -> None:
        """Releases all jobs at once, and ends with `problem`: the worker cannot be trusted."""
        self._problem = self._problem or problem
        self.leave(0.0)

    @contextmanager
    def failing(self, action: str) -> Iterator[None]:
        """Calls `fail` should the block raise: a defect of ours costs no job its attempt."""
        try:
            yield
        except Exception as defect:
            log.exception("the worker failed while it %s", action)
            self.fail(f"the worker failed while it {action}: {describe(defect)}")

    def leave(self, grace_seconds: float) -> None:
        """Takes no more jobs, gives the running ones `grace_seconds`, releases the rest, ends.

        A second call can only shorten the grace.
        """
        self._leave_at = min(self._leave_at, time.monotonic() + grace_seconds)
        if not self._leaving.is_set():
            self._leaving.set()
            self._protocol.retire()
            if running := self._protocol.book.open:
                log.info("leaving: %d jobs have %g s to end", running, grace_seconds)
        self.wake()

    def _retire(self, reason: str) -> None:
        """Leaves as an operator wishes: the jobs that it has may take all their time."""
        if not self._leaving.is_set():
            cause = " ".join(reason.split())
            log.info("an operator drains this worker%s", f": {cause}" if cause else "")
            self.leave(MAX_ATTEMPT_SECONDS)

    @property
    def ended_blocked(self) -> bool:
        """Whether a problem ended it, and the processor loop is blocked."""
        return bool(self._problem) and self._loop_watch is not None and self._loop_watch.silent

    def wake(self) -> None:
        """Says that there may be a frame to send, or fewer jobs and outcomes to wait for."""
        if self._stream is not None:
            self._stream.wake()
        self._changed.set()

    def hurry(self) -> None:
        """Says that something may be due before the next tick."""
        self._hurry.set()

    async def _stay_connected(self, group: asyncio.TaskGroup) -> None:
        while True:
            try:
                stream = await self._open()
            except StreamFailed as failure:
                self._trouble.note_failure(failure.end, time.monotonic())
            else:
                opened = time.monotonic()
                hold = group.create_task(self._hold(stream))
                self._holds.add(hold)
                hold.add_done_callback(self._holds.discard)
                await stream.leaving.wait()
                self._trouble.note_life(time.monotonic() - opened)
                if stream.end is None:
                    log.info("%s; connecting anew", stream.reason)
                elif stream.is_full and stream.end.code is grpc.StatusCode.OK:
                    continue
                elif not self._leaving.is_set() or stream.end.code is not grpc.StatusCode.OK:
                    self._note_end(stream, stream.end)
            await asyncio.sleep(self._trouble.delay_seconds())

    def _note_end(self, stream: WorkStream, end: StreamEnd) -> None:
        if end.code is grpc.StatusCode.UNAUTHENTICATED:
            # It has outlived its token; the next one says whether there is another.
            log.info("%s; connecting anew", end.describe(self._target))
            return
        now = time.monotonic()
        if stream.lacks_answer or self._protocol.book.in_flight:
            self._trouble.note_break(end, stream.sent_bytes, stream.limit_bytes, now)
        else:
            self._trouble.note_failure(end, now)

    async def _open(self) -> WorkStream:
        limit_bytes = self._trouble.limit_bytes(time.monotonic())
        metadata = self._authorization()
        stream = WorkStream(self._target, self._credentials, limit_bytes, metadata)
        previous = self._stream
        try:
            if not self._declared:
                await declare(
                    stream.channel, list(self._processors.values()), self._take_back, metadata
                )
                self._declared = True
            subscribe = self._subscribe()
            if previous is not None:
                previous.set_aside()
            subscribed = await stream.open(subscribe)
        except BaseException:
            if previous is not None:
                previous.resume()
            await stream.close()
            raise
        self._resume_token = subscribed.resume_token
        previous, self._stream = self._stream, stream
        if previous is not None:
            # It is draining, but confirms outcomes until the server ends it.
            previous.half_close()
        self._protocol.connect(subscribed, subscribe.window, time.monotonic())
        self._on_subscribed()
        self.hurry()
        self.wake()
        return stream

    def _authorization(self) -> tuple[tuple[str, str], ...]:
        try:
            return authorization(self._token)
        except (OSError, ValueError) as error:  # A file that is not there yet, say.
            end = StreamEnd(grpc.StatusCode.UNAVAILABLE, f"this worker has no token: {error}")
            raise StreamFailed(end) from None

    async def _hold(self, stream: WorkStream) -> None:
        def receive(frame: WorkResponse) -> None:
            if frame.HasField("retire"):
                self._retire(frame.retire.reason)
                return
            with self.failing(f"read a frame {frame.WhichOneof('frame')}"):
                self._protocol.receive(frame, time.monotonic())
            self.wake()

        def next_frame() -> WorkRequest | None:
            with self.failing("made a frame"):
                if stream is not self._stream or stream.is_full:
                    return None
                frame = self._protocol.next_frame(stream.room_bytes)
                if frame is None and self._protocol.outbox.needs_room:
                    stream.is_full = True
                    stream.half_close()
                    window = SetWindow(window=self._protocol.window, comes_back=True)
                    return WorkRequest(set_window=window)
                return frame
            return None

        await stream.hold(receive, next_frame)
        if stream is self._stream:
            self._stream = None
            self._protocol.disconnect()
            self._changed.set()

    async def _watch_clock(self) -> None:
        log_throttle, stuck = LogThrottle(), 0
        while True:
            self._hurry.clear()
            now = time.monotonic()
            due = now + TICK_SECONDS
            with self.failing("kept time"):
                self._look_at_loop(now)
                due = self._protocol.tick(now)
                self._protocol.refusals.tell_missed()
            self.wake()
            stuck_before, stuck = stuck, self._stuck_threads()
            if stuck and stuck_before and log_throttle.due(now):
                log.error("%d threads are still in processors whose attempts were stopped", stuck)
            if stuck > MAX_STUCK_THREADS:
                raise WorkerStopped(f"{stuck} threads hang in processors: start the worker anew")
            try:
                async with asyncio.timeout(max(0.0, due - now)):
                    await self._hurry.wait()
            except TimeoutError:
                continue

    def _look_at_loop(self, now: float) -> None:
        if self._loop_watch is not None and not self._leaving.is_set():
            problem = self._loop_watch.look(now)
            if problem:
                self.fail(problem)

    async def _wait_and_leave(self) -> None:
        protocol = self._protocol
        await self._leaving.wait()
        while protocol.book.open and time.monotonic() < self._leave_at:
            await self._await_change(self._leave_at)
        if released := protocol.release_rest():
            log.warning("%d jobs had to be released", released)
            self.wake()
        until = time.monotonic() + CONFIRM_SECONDS
        while protocol.book.unconfirmed and time.monotonic() < until:
            await self._await_change(until)
        if lost := protocol.book.unconfirmed:
            log.error("%d outcomes could not be delivered; those jobs will run again", lost)
        protocol.refusals.tell_missed(at_end=True)
        stream = self._stream
        if stream is not None:
            stream.half_close()
            while stream.end is None and time.monotonic() < until:
                await self._await_change(until)

    async def _await_change(self, until: float) -> None:
        try:
            async with asyncio.timeout(until - time.monotonic()):
                await self._changed.wait()
        except TimeoutError:
            return
        self._changed.clear()

    def _subscribe(self) -> Subscribe:
        return Subscribe(
            worker=self._info,
            queues=[
                QueueSubscription(queue=queue, max_leases=bound.processor.max_leases)
                for queue, bound in self._processors.items()
            ],
            window=self._protocol.window,
            payload_encoding=PayloadEncoding.PAYLOAD_ENCODING_JSON_TEXT,
            held_lease_ids=self._protocol.book.lease_ids()[:MAX_HELD_LEASES],
            max_dispatch_leases=_MAX_DISPATCH_LEASES,
            resume_token=self._resume_token,
        )


def _first(group: BaseExceptionGroup[WorkerStopped]) -> BaseException:
    problem: BaseException = group
    while isinstance(problem, BaseExceptionGroup):
        problem = problem.exceptions[0]
    return problem
