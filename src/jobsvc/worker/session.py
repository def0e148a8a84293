"""Keeps a worker connected, whatever happens to the server, until it leaves."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping
from math import inf

import grpc

from jobsvc.v1.payload_pb2 import PayloadEncoding
from jobsvc.v1.worker_service_pb2 import (
    QueueSubscription,
    Subscribe,
    WorkerInfo,
    WorkRequest,
    WorkResponse,
)
from jobsvc.worker.backoff import GOOD_SECONDS, Backoff, Reminder
from jobsvc.worker.bound_processor import Binding
from jobsvc.worker.declaration import declare
from jobsvc.worker.exchange import Exchange
from jobsvc.worker.stream_end import StreamEnd, WorkerStopped
from jobsvc.worker.work_stream import StreamFailed, WorkStream

#: How long a leaving worker waits for its last confirmations, and for the stream to end.
CONFIRM_SECONDS = 4.0
#: More threads than this that never come back are beyond repair: a restart is due.
MAX_STUCK_THREADS = 256
#: `held_lease_ids` takes no more.
_MAX_HELD = 10_000
#: As many as the contract allows: large frames are cheap.
_MAX_DISPATCH_LEASES = 1000

log = logging.getLogger("jobsvc.worker")


class Session:
    """Subscribes, reconnects, leaves. Runs on its own event loop, in a thread of its own.

    So leases are extended and outcomes reported while processors block their
    loop or keep the processor busy.
    """

    def __init__(
        self,
        target: str,
        info: WorkerInfo,
        bindings: Mapping[str, Binding],
        exchange: Exchange,
        stuck_threads: Callable[[], int],
        on_subscribed: Callable[[], None],
    ) -> None:
        self._target = target
        self._info = info
        self._bindings = bindings
        self._exchange = exchange
        self._stuck_threads = stuck_threads
        self._on_subscribed = on_subscribed
        self._declared = False
        self._stream: WorkStream | None = None
        self._holds: set[asyncio.Task[None]] = set()
        self._hurry = asyncio.Event()
        self._changed = asyncio.Event()
        self._leaving = asyncio.Event()
        self._leave_at = inf

    async def run(self) -> None:
        """Works until `leave` is called and obeyed.

        Raises:
            WorkerStopped: the server refuses this worker for good.
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

    def leave(self, grace_seconds: float) -> None:
        """Takes no more jobs, gives the running ones `grace_seconds`, releases the rest, ends.

        A second call can only shorten the grace.
        """
        self._leave_at = min(self._leave_at, time.monotonic() + grace_seconds)
        if not self._leaving.is_set():
            self._leaving.set()
            self._exchange.retire()
            if running := self._exchange.book.open:
                log.info("leaving: %d jobs have %g s to end", running, grace_seconds)
        self.wake()

    def wake(self) -> None:
        """There may be something to send, or fewer jobs and outcomes to wait for."""
        if self._stream is not None:
            self._stream.wake()
        self._changed.set()

    def hurry(self) -> None:
        """There may be something due before the clock is looked at next."""
        self._hurry.set()

    async def _stay_connected(self, group: asyncio.TaskGroup) -> None:
        backoff, reminder = Backoff(), Reminder()
        while True:
            try:
                stream = await self._open()
            except StreamFailed as failure:
                self._complain(failure.end, reminder)
            else:
                opened = time.monotonic()
                reminder.reset()
                hold = group.create_task(self._hold(stream))
                self._holds.add(hold)
                hold.add_done_callback(self._holds.discard)
                await stream.leaving.wait()
                if time.monotonic() - opened >= GOOD_SECONDS:
                    backoff.reset()
                if stream.end is None:
                    log.info("the server is about to go; connecting anew")
                elif not self._leaving.is_set() or stream.end.code is not grpc.StatusCode.OK:
                    self._complain(stream.end, reminder)
            await asyncio.sleep(backoff.delay_seconds(random.random()))

    async def _open(self) -> WorkStream:
        stream, previous = WorkStream(self._target), self._stream
        try:
            if not self._declared:
                await declare(stream.channel, list(self._bindings.values()))
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
        previous, self._stream = self._stream, stream
        if previous is not None:
            # It is draining; what it still confirms is heard until the server ends it.
            previous.half_close()
        self._exchange.connect(subscribed, subscribe.window, time.monotonic())
        self._on_subscribed()
        self.hurry()
        self.wake()
        return stream

    async def _hold(self, stream: WorkStream) -> None:
        def receive(frame: WorkResponse) -> None:
            self._exchange.receive(frame, time.monotonic())
            self.wake()

        def next_frame() -> WorkRequest | None:
            return self._exchange.next_frame() if stream is self._stream else None

        await stream.hold(receive, next_frame)
        if stream is self._stream:
            self._stream = None
            self._exchange.disconnect()
            self._changed.set()

    async def _watch_clock(self) -> None:
        reminder, stuck = Reminder(), 0
        while True:
            self._hurry.clear()
            now = time.monotonic()
            due = self._exchange.tick(now)
            self.wake()
            stuck_before, stuck = stuck, self._stuck_threads()
            if stuck and stuck_before and reminder.due(now):
                log.error("%d threads are still in processors whose attempts are over", stuck)
            if stuck > MAX_STUCK_THREADS:
                raise WorkerStopped(f"{stuck} threads hang in processors: start the worker anew")
            try:
                async with asyncio.timeout(max(0.0, due - now)):
                    await self._hurry.wait()
            except TimeoutError:
                continue

    async def _wait_and_leave(self) -> None:
        exchange = self._exchange
        await self._leaving.wait()
        while exchange.book.open and time.monotonic() < self._leave_at:
            await self._news(self._leave_at)
        if released := exchange.release_rest():
            log.warning("%d jobs had to be handed back", released)
            self.wake()
        until = time.monotonic() + CONFIRM_SECONDS
        while exchange.book.unconfirmed and time.monotonic() < until:
            await self._news(until)
        if lost := exchange.book.unconfirmed:
            log.error("%d outcomes could not be delivered; those jobs will run again", lost)
        stream = self._stream
        if stream is not None:
            stream.half_close()
            while stream.end is None and time.monotonic() < until:
                await self._news(until)

    async def _news(self, until: float) -> None:
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
                QueueSubscription(queue=queue, max_leases=binding.processor.max_leases)
                for queue, binding in self._bindings.items()
            ],
            window=self._exchange.window,
            payload_encoding=PayloadEncoding.PAYLOAD_ENCODING_JSON_TEXT,
            held_lease_ids=self._exchange.book.held()[:_MAX_HELD],
            max_dispatch_leases=_MAX_DISPATCH_LEASES,
        )

    def _complain(self, end: StreamEnd, reminder: Reminder) -> None:
        text = end.describe(self._target)
        if end.fatal:
            raise WorkerStopped(text)
        if reminder.due(time.monotonic()):
            log.warning("%s; trying again", text)


def _first(group: BaseExceptionGroup[WorkerStopped]) -> BaseException:
    problem: BaseException = group
    while isinstance(problem, BaseExceptionGroup):
        problem = problem.exceptions[0]
    return problem
