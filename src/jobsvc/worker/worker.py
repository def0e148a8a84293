"""A worker: processors, the event loop they run on, and the session that brings their jobs."""

import asyncio
import os
import secrets
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from types import ModuleType, TracebackType
from typing import Self

import grpc

from jobsvc.bearer_token import Token, check_token
from jobsvc.domain.limits import MAX_WINDOW
from jobsvc.domain.loopback import is_local_target
from jobsvc.domain.target import check_target
from jobsvc.event_loop.loop_factory import new_event_loop
from jobsvc.release import installed_release
from jobsvc.telemetry.catalogue import WORKER_LOOP_SILENCE
from jobsvc.telemetry.measurements import Measurements
from jobsvc.telemetry.process import measure_process
from jobsvc.tracing.publish import published
from jobsvc.v1.worker_service_pb2 import WorkerInfo
from jobsvc.worker.bound_processor import bind
from jobsvc.worker.loop_watch import SILENT_SECONDS, LoopWatch
from jobsvc.worker.mailbox import Mailbox
from jobsvc.worker.outcome import Outcome
from jobsvc.worker.processor import AnyProcessor, collect
from jobsvc.worker.runner import Runner
from jobsvc.worker.running_attempt import RunningAttempt
from jobsvc.worker.session import Session
from jobsvc.worker.spans import ProcessSpans, find_tracer
from jobsvc.worker.stream_end import WorkerStopped
from jobsvc.worker.work_protocol import WorkProtocol

DEFAULT_TARGET = "127.0.0.1:50051"
DEFAULT_CONCURRENCY = 8
DEFAULT_GRACE_SECONDS = 25.0
DEFAULT_BLOCKED_SECONDS = 300.0


class Worker:
    """Works on jobs while its `async with` block runs.

    `async def` processors run on the event loop of the block, plain ones in
    threads; the connection has a thread of its own. Entering does not wait for
    the server: see `wait_subscribed`. Leaving takes no more jobs, gives running
    jobs `grace_seconds` to end, releases the rest, and waits until the server
    has confirmed all outcomes; a block that ends by an exception gives no grace.

    Args:
        processors: Processor objects, and modules that contain some.
        target: HOST:PORT of the server.
        credentials: gRPC's channel credentials, for a connection over TLS.
        token: The token of this worker, or what returns the current one for each stream.
        concurrency: maximum of jobs that run at a time, 1 to 10,000.
        window: maximum of leased jobs, 1 to 10,000; those beyond `concurrency`
            wait here, for a tenth of their attempt_timeout at most. Default:
            `concurrency`.
        grace_seconds: see above.
        version: release of the worker's code, for people; cut to 64 characters.
        take_back: for a rollback. Each queue takes back the schemas of its processor
            even if it has replaced them since; by default it keeps the newer ones.
        blocked_seconds: a worker whose event loop is blocked takes no more jobs,
            and after this long it fails the job that blocks it, releases the
            others and ends. At least 2.
        on_blocked: called with the reason, in another thread, when the worker has
            ended so and its loop is still blocked. The process should end then.

    Raises:
        ProcessorInvalid: a processor cannot be used as it is written.
        ValueError: a number is out of its range.
        WorkerStopped: raised by the block, when the server refuses the worker
            for good, its event loop was blocked for too long, or it failed itself.
    """

    def __init__(
        self,
        processors: Iterable[ModuleType | AnyProcessor],
        *,
        target: str = DEFAULT_TARGET,
        credentials: grpc.ChannelCredentials | None = None,
        token: Token | None = None,
        concurrency: int = DEFAULT_CONCURRENCY,
        window: int | None = None,
        grace_seconds: float = DEFAULT_GRACE_SECONDS,
        version: str = "",
        take_back: bool = False,
        blocked_seconds: float = DEFAULT_BLOCKED_SECONDS,
        on_blocked: Callable[[str], None] = lambda _: None,
    ) -> None:
        if not 1 <= concurrency <= MAX_WINDOW:
            raise ValueError(f"concurrency must be 1 to {MAX_WINDOW}, not {concurrency}")
        if window is not None and not 1 <= window <= MAX_WINDOW:
            raise ValueError(f"window must be 1 to {MAX_WINDOW}, not {window}")
        if not grace_seconds >= 0:
            raise ValueError(f"grace_seconds must not be negative, but is {grace_seconds}")
        if not blocked_seconds >= SILENT_SECONDS:
            raise ValueError(
                f"blocked_seconds must be at least {SILENT_SECONDS:g}, not {blocked_seconds}"
            )
        check_target(target)
        if isinstance(token, str):
            check_token(token)
        self.processors = {p.queue: bind(p) for p in collect(processors)}
        self.target = target
        self._credentials = credentials
        self._token = token
        self.concurrency = concurrency
        self.window = concurrency if window is None else window
        self.grace_seconds = grace_seconds
        self.blocked_seconds = blocked_seconds
        self._on_blocked = on_blocked
        self._take_back = take_back
        #: Identifies this run to the server; new for every Worker.
        self.id = f"{socket.gethostname()[:96]}-{os.getpid()}/{secrets.token_hex(4)}"
        self._info = WorkerInfo(worker_id=self.id, version=version[:64], sdk=_sdk())
        self._measurements = Measurements()
        measure_process(self._measurements)
        self._stack = AsyncExitStack()
        self._subscribed, self._left = asyncio.Event(), asyncio.Event()
        self._session: Session | None = None
        self._session_loop: asyncio.AbstractEventLoop | None = None
        #: Grace of a `leave` that came before there was a session.
        self._leave_early: float | None = None

    @property
    def sends_token_in_clear(self) -> bool:
        """Whether a token leaves this machine without TLS."""
        has_token = self._token is not None and self._credentials is None
        return has_token and not is_local_target(self.target)

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._work())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exception: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        return await self._stack.__aexit__(kind, exception, trace)

    async def wait_subscribed(self) -> None:
        """Returns once the server has accepted the worker for the first time."""
        await self._subscribed.wait()

    async def wait_left(self) -> None:
        """Returns once the worker has left, after `leave`."""
        await self._left.wait()

    def leave(self, grace_seconds: float | None = None) -> None:
        """Begins to leave, as the end of the block does. For any thread, or a signal handler."""
        grace = self.grace_seconds if grace_seconds is None else grace_seconds
        # Written before the session is read; `_work` writes the session before it reads this.
        self._leave_early = grace
        if self._session is not None and self._session_loop is not None:
            with suppress(RuntimeError):  # closed: the session has ended
                self._session_loop.call_soon_threadsafe(self._session.leave, grace)

    @asynccontextmanager
    async def _work(self) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        session_loop = self._session_loop = new_event_loop()
        ended: asyncio.Future[None] = loop.create_future()
        publication = ExitStack()
        try:
            async with asyncio.TaskGroup() as group:
                runner, session = self._assemble(group, loop, session_loop)
                publication.enter_context(published(self._measurements))
                self._session = session
                if self._leave_early is not None:
                    session_loop.call_soon(session.leave, self._leave_early)
                watch = group.create_task(self._watch(ended, runner))
                # A daemon: the process may have to end while the server is silent.
                threading.Thread(
                    target=_run_session,
                    args=(session_loop, session, loop, ended, self._on_blocked),
                    name="jobsvc session",
                    daemon=True,
                ).start()
                try:
                    yield
                except BaseException:
                    runner.close()
                    raise
                self.leave()
                await watch
        except BaseExceptionGroup as problems:
            raise _plain(problems) from None
        finally:
            self.leave(0.0)
            # Also when `watch` was cancelled: the thread must be gone after the block.
            await asyncio.wait([ended])
            publication.close()

    def _assemble(
        self,
        group: asyncio.TaskGroup,
        loop: asyncio.AbstractEventLoop,
        session_loop: asyncio.AbstractEventLoop,
    ) -> tuple[Runner, Session]:
        def receive_outcomes(outcomes: list[Outcome]) -> None:
            with session.failing("noted outcomes"):
                protocol.collect(outcomes)
            session.wake()

        def receive_progress(attempts: list[RunningAttempt]) -> None:
            protocol.note_progress(attempts)
            session.hurry()

        def note_subscribed() -> None:
            loop.call_soon_threadsafe(self._subscribed.set)

        def end_worker(problem: str) -> None:
            with suppress(RuntimeError):  # closed: the session has ended
                session_loop.call_soon_threadsafe(session.fail, problem)

        outcomes = Mailbox(session_loop, receive_outcomes)
        progress = Mailbox(session_loop, receive_progress)
        tracer = find_tracer()
        spans = ProcessSpans(tracer, self.id) if tracer else None
        runner = Runner(
            self.processors, loop, group, self.concurrency, spans, outcomes.put, end_worker
        )
        protocol = WorkProtocol(
            runner,
            self.processors,
            self.concurrency,
            self.window,
            progress.put,
            self._measurements,
        )
        # Plain processors do not need the loop.
        needs_loop = any(bound.is_async for bound in self.processors.values())
        loop_watch = LoopWatch(loop, protocol, self.blocked_seconds) if needs_loop else None
        self._measurements.gauge(
            WORKER_LOOP_SILENCE, lambda: [((), loop_watch.silent_seconds if loop_watch else 0.0)]
        )
        session = Session(
            self.target,
            self._info,
            self.processors,
            protocol,
            loop_watch,
            lambda: runner.stuck_threads,
            note_subscribed,
            self._credentials,
            self._take_back,
            self._token,
        )
        return runner, session

    async def _watch(self, ended: "asyncio.Future[None]", runner: Runner) -> None:
        # When the session ends, so does the worker.
        try:
            # Not cancelled along with this task: the thread is waited for in any case.
            await asyncio.shield(ended)
        finally:
            runner.close()
            self._left.set()


def _run_session(
    session_loop: asyncio.AbstractEventLoop,
    session: Session,
    loop: asyncio.AbstractEventLoop,
    ended: "asyncio.Future[None]",
    on_blocked: Callable[[str], None],
) -> None:
    problem: BaseException | None = None
    try:
        with asyncio.Runner(loop_factory=lambda: session_loop) as runner:
            runner.run(session.run())
    except BaseException as error:
        # Raised where the worker is awaited; in this thread nobody would see it.
        problem = error

    def tell() -> None:
        if problem is None:
            ended.set_result(None)
        else:
            ended.set_exception(problem)

    with suppress(RuntimeError):  # closed: the block has ended, and nobody waits
        loop.call_soon_threadsafe(tell)
    if session.ended_blocked:
        on_blocked(str(problem))


def _plain(problems: BaseExceptionGroup[BaseException]) -> BaseException:
    stopped = problems.subgroup(WorkerStopped)
    if stopped is not None:
        return WorkerStopped(str(stopped.exceptions[0]))
    return problems.exceptions[0] if len(problems.exceptions) == 1 else problems


def _sdk() -> str:
    return f"jobsvc-python/{installed_release() or '0'}"
