"""Keeps several processes going: one that dies is replaced, and all drain together."""

import asyncio
import logging
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from jobsvc.event_loop.running import running
from jobsvc.http_server import Answer
from jobsvc.processes.backoff import next_delay
from jobsvc.processes.child import Child
from jobsvc.processes.member import Terms
from jobsvc.processes.merged_metrics import merge
from jobsvc.sd_notify import ServiceManager
from jobsvc.settings import Settings

log = logging.getLogger(__name__)

#: Beyond `drain_seconds`: for the last commits and spans. As the units of systemd allow.
_END_SECONDS = 12.0
_LOOK_SECONDS = 1.0
#: A process whose event loop has not turned for so many looks is killed, after as long as by the
#: unit of systemd. Looks, and not a time: a machine that stood still has made none.
_MAX_SILENT_LOOKS = 30
#: More than a process takes to find that its own loop does not answer.
_ASK_SECONDS = 8.0


class Group:
    """The processes of one server."""

    def __init__(self, settings: Settings, stop: asyncio.Event, manager: ServiceManager) -> None:
        """`settings` have the port that all of them use."""
        self._settings = settings
        self._manager = manager
        self._count = settings.processes
        self._children: dict[int, Child] = {}
        self._stop = stop
        self._first_serves = asyncio.Event()
        #: Those that have never served.
        self._awaited = set(range(self._count))
        self._exit_code = 0

    def reload(self) -> None:
        """Has all read again what can be read again."""
        for child in self._children.values():
            child.reload()

    async def run(self, embedded_dsn: str | None, on_ready: Callable[[], None]) -> int:
        """Runs the processes until `stop` is set, has them drain, and returns the exit code of the
        server: that of a process if one of them could not start or drain. `on_ready` is called when
        all serve. `embedded_dsn` is of the PostgreSQL that the parent runs, if it does."""
        log.info(
            "%d processes on %s, with up to %d connections to the database",
            self._count,
            self._settings.listen,
            self._settings.own_connections,
        )
        try:
            async with (
                running(("stop", self._stop_all()), ("silence", self._end_silent())),
                asyncio.TaskGroup() as tasks,
            ):
                for index in range(self._count):
                    tasks.create_task(self._keep(index, embedded_dsn, on_ready))
        finally:
            for child in self._children.values():
                child.kill()
        return self._exit_code

    async def _keep(
        self, index: int, embedded_dsn: str | None, on_ready: Callable[[], None]
    ) -> None:
        """Runs a process again and again. The first one comes alone: it waits for the database and
        migrates, and tells what keeps all of them from serving."""
        if index:
            await self._first_serves.wait()
        delay = 0.0
        while not self._stop.is_set():
            begin = time.monotonic()
            try:
                child = await Child.start(index, Terms(self._settings, embedded_dsn))
            except OSError as error:  # The machine has no room for it.
                delay = next_delay(0.0, delay)
                log.error("process %d cannot be started: %s; again in %g s", index, error, delay)
                await self._until_stopped(delay)
                continue
            self._children[index] = child
            if self._stop.is_set():
                child.terminate()
            async for message in child.messages():
                self._heard(child, message, on_ready)
            code = await child.ended()
            del self._children[index]
            if self._stop.is_set():
                # Asked to end before it could drain, it ends by the signal.
                if code not in (0, -signal.SIGTERM):
                    log.error(
                        "process %d (pid %d) ended before it had drained (%s)",
                        index,
                        child.pid,
                        _describe(code),
                    )
                    self._exit_code = self._exit_code or max(code, 0)
                return
            if index in self._awaited and code > 0:
                # It has said why.
                self._exit_code = code
                self._stop.set()
                return
            lived = time.monotonic() - begin
            delay = next_delay(lived, delay)
            log.error(
                "process %d (pid %d) ended after %.0f s (%s); another one replaces it in %g s",
                index,
                child.pid,
                lived,
                _describe(code),
                delay,
            )
            self._manager.tell(status=self._status())
            await self._until_stopped(delay)

    def _heard(self, child: Child, message: list[str], on_ready: Callable[[], None]) -> None:
        for line in message:
            name, _, value = line.partition("=")
            if name == "STATUS" and not self._first_serves.is_set():
                self._manager.tell(status=value)
        if "READY=1" not in message or child.has_served:
            return
        child.has_served = True
        log.info("process %d (pid %d) serves", child.index, child.pid)
        self._first_serves.set()
        if child.index in self._awaited:
            self._awaited.remove(child.index)
            if not self._awaited and not self._stop.is_set():
                on_ready()
                self._manager.tell("READY=1", status=self._status())
                return
        self._manager.tell(status=self._status())

    async def _stop_all(self) -> None:
        await self._stop.wait()
        self._first_serves.set()
        self._manager.tell("STOPPING=1", status="draining")
        for child in list(self._children.values()):
            child.terminate()
        await asyncio.sleep(self._settings.drain_seconds + _END_SECONDS)
        for child in list(self._children.values()):
            log.error("process %d (pid %d) does not end; it is killed", child.index, child.pid)
            child.kill()

    async def _end_silent(self) -> None:
        """A dead loop behind an open port would take a share of all connections with it."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            for child in self._children.values():
                # One that has not spoken yet is still importing, on a busy machine for long.
                child.silent_looks += child.has_spoken
                if child.silent_looks == _MAX_SILENT_LOOKS:
                    log.error(
                        "the event loop of process %d (pid %d) has not turned for %g s; it is"
                        " killed",
                        child.index,
                        child.pid,
                        _MAX_SILENT_LOOKS * _LOOK_SECONDS,
                    )
                    child.kill()

    async def _until_stopped(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            pass

    def _status(self) -> str:
        serving = sum(child.has_served for child in self._children.values())
        return f"{serving} of {self._count} processes serve"

    # The following are called by the threads of the HTTP listener.

    def is_live(self) -> Answer:
        """Whether all processes live that there are."""
        answers = self._ask("/livez")
        dead = [index for index, answer in answers.items() if answer is None or not answer.is_ok]
        if not dead:
            return Answer(b"ok\n")
        text = f"the event loop of process {dead[0]} does not answer\n"
        return Answer(text.encode(), is_ok=False)

    def is_ready(self) -> Answer:
        """Whether the server is worth calling: all have served, and at least one does so now."""
        if self._stop.is_set():
            return Answer(b"draining\n", is_ok=False)
        found = [answer for answer in self._ask("/readyz").values() if answer is not None]
        if self._awaited:
            waiting = next((answer for answer in found if not answer.is_ok), None)
            return waiting or Answer(b"starting\n", is_ok=False)
        ready = next((answer for answer in found if answer.is_ok), None)
        return ready or (found or [Answer(b"no process serves\n", is_ok=False)])[0]

    def metrics(self) -> Answer:
        """The metrics of all processes that answer."""
        found = {i: answer for i, answer in self._ask("/metrics").items() if answer is not None}
        text = merge({index: answer.body.decode() for index, answer in found.items()})
        kinds = {answer.content_type for answer in found.values()} or {Answer(b"").content_type}
        return Answer(text.encode(), content_type=kinds.pop())

    def _ask(self, path: str) -> dict[int, Answer | None]:
        """What each process answers that can be asked, all at once."""
        children = [child for child in list(self._children.values()) if child.has_spoken]
        if not children:
            return {}
        with ThreadPoolExecutor(len(children)) as threads:
            answers = threads.map(lambda child: child.ask(path, _ASK_SECONDS), children)
            return {c.index: answer for c, answer in zip(children, answers, strict=True)}


def _describe(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
