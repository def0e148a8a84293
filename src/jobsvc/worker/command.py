"""A worker as a process: imports the modules, obeys signals, returns an exit code."""

import argparse
import asyncio
import gc
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from jobsvc.bearer_token import token_in, token_of
from jobsvc.event_loop.loop_factory import new_event_loop
from jobsvc.exit_code import ExitCode
from jobsvc.sd_notify import ServiceManager
from jobsvc.settings import unknown_names
from jobsvc.tls import Credentials, describe_files, tls_credentials
from jobsvc.tracing.stderr_log import log_json_if_asked, log_to_stderr, reload_level
from jobsvc.worker.failure import describe
from jobsvc.worker.garbage import bound_garbage
from jobsvc.worker.log_throttle import LogThrottle
from jobsvc.worker.modules import ModuleUnusable, load
from jobsvc.worker.processor import AnyProcessor, ProcessorInvalid
from jobsvc.worker.session import CONFIRM_SECONDS
from jobsvc.worker.stream_end import WorkerStopped
from jobsvc.worker.worker import (
    DEFAULT_BLOCKED_SECONDS,
    DEFAULT_CONCURRENCY,
    DEFAULT_GRACE_SECONDS,
    DEFAULT_TARGET,
    Worker,
)

log = logging.getLogger("jobsvc.worker")

#: A process that hangs is killed this long after all its deadlines.
_LAST_RESORT_SECONDS = 3.0

#: Values of a variable that switch something on, as for the other commands.
_YES = ("1", "true", "t", "yes", "y", "on")

#: Name of a module, path of a .py file, module, or processor.
Source = str | ModuleType | AnyProcessor


def run(
    sources: Sequence[Source],
    *,
    target: str | None = None,
    tls: bool = False,
    ca: str | Path | None = None,
    cert: str | Path | None = None,
    key: str | Path | None = None,
    token_file: str | Path | None = None,
    concurrency: int = DEFAULT_CONCURRENCY,
    window: int | None = None,
    grace_seconds: float = DEFAULT_GRACE_SECONDS,
    version: str = "",
    take_back: bool = False,
    blocked_seconds: float = DEFAULT_BLOCKED_SECONDS,
) -> None:
    """Works until SIGTERM or SIGINT, which let running jobs end first; a second one does not.

    `target` is HOST:PORT, by default `JOBSVC_TARGET` or 127.0.0.1:50051. `tls` connects
    over TLS, as `JOBSVC_TLS=1` does; so does `ca` (or `JOBSVC_CA`), a PEM file of the
    certificates to trust, and so do `cert` and `key` (or `JOBSVC_CERT` and `JOBSVC_KEY`), PEM
    files of the certificate to show and its key. `token_file` has the token of this worker, and is
    read for each stream; otherwise `JOBSVC_TOKEN` or `JOBSVC_TOKEN_FILE` says it. The other
    arguments are those of `Worker`. Must be called on the main thread. A process whose event loop
    stays blocked ends with code 1.

    Raises:
        ModuleUnusable, ProcessorInvalid, ValueError: before any job is taken.
        WorkerStopped: the server refuses the worker for good.
    """
    loaded = [load([source])[0] if isinstance(source, str) else source for source in sources]
    worker = Worker(
        loaded,
        target=target or os.environ.get("JOBSVC_TARGET") or DEFAULT_TARGET,
        credentials=_credentials(tls, ca, cert, key),
        token=token_in(token_file) if token_file else token_of(os.environ),
        concurrency=concurrency,
        window=window,
        grace_seconds=grace_seconds,
        version=version,
        take_back=take_back,
        blocked_seconds=blocked_seconds,
        on_blocked=_end_process,
    )
    log_to_stderr()
    if worker.sends_token_in_clear:
        log.warning("the token goes to %s unencrypted; use --tls", worker.target)
    manager = ServiceManager.take_from(os.environ)
    # Imported here: a program that only uses `Worker` brings its own tracing.
    from jobsvc.tracing import start_tracing

    trace_dir = os.environ.get("JOBSVC_TRACE_DIR")
    with (
        start_tracing("jobsvc-worker", Path(trace_dir) if trace_dir else None, with_metrics=True),
        _signals(worker, manager),
    ):
        # The collector never looks at what is loaded by now.
        gc.collect()
        gc.freeze()
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            _run_to_its_end(runner.get_loop(), _work(worker, manager))


def _credentials(tls: bool, *files: str | Path | None) -> Credentials | None:
    """The credentials by the files of the options --ca, --cert and --key, and the environment."""
    named = [
        Path(path) if (path := file or os.environ.get(name)) else None
        for file, name in zip(files, ("JOBSVC_CA", "JOBSVC_CERT", "JOBSVC_KEY"), strict=True)
    ]
    if not (tls or any(named) or os.environ.get("JOBSVC_TLS", "").lower() in _YES):
        return None
    try:
        return tls_credentials(*named)
    except OSError as error:
        raise ValueError(f"{describe_files(*named)}: {error.strerror or error}") from None


def _end_process(problem: str) -> None:
    # A process whose main thread is blocked cannot end in order.
    print(f"jobsvc worker: {problem}", file=sys.stderr, flush=True)
    os._exit(1)


def _run_to_its_end(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, None]) -> None:
    """Runs the worker, though jobs stop the loop: `SystemExit` and `KeyboardInterrupt` do, in a
    task or callback that a processor made. A task that raised them has them for who awaits it."""
    task, log_throttle = loop.create_task(work), LogThrottle()
    while not task.done():
        try:
            loop.run_until_complete(task)
        except BaseException as stop:
            if task.done() or loop.is_closed():
                raise
            if log_throttle.due(time.monotonic()):
                log.error("a job stopped the event loop, which goes on: %s", describe(stop))


async def _work(worker: Worker, manager: ServiceManager) -> None:
    if hasattr(signal, "SIGHUP"):  # Windows has none.
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, manager.reload, reload_level)
    async with worker, asyncio.TaskGroup() as group:
        duties = [
            group.create_task(_announce(worker, manager)),
            group.create_task(bound_garbage()),
            group.create_task(manager.ping()),
        ]
        await worker.wait_left()
        for duty in duties:
            duty.cancel()


async def _announce(worker: Worker, manager: ServiceManager) -> None:
    await worker.wait_subscribed()
    queues = ", ".join(worker.processors)
    print(
        f"jobsvc worker {worker.id} subscribed to {queues} (concurrency {worker.concurrency})",
        flush=True,
    )
    manager.tell("READY=1", status=f"subscribed to {queues}")


@contextmanager
def _signals(worker: Worker, manager: ServiceManager) -> Iterator[None]:
    # Handlers of the process, not of the event loop: they run even while an
    # `async def` processor blocks the loop.
    last_resort: threading.Timer | None = None

    def obey(number: int, _: FrameType | None) -> None:
        nonlocal last_resort
        if last_resort is not None:
            os._exit(128 + number)
        manager.tell("STOPPING=1", status="leaving")
        worker.leave()
        deadline_seconds = worker.grace_seconds + CONFIRM_SECONDS + _LAST_RESORT_SECONDS
        # By then every lease has been released; only a processor can still hang.
        last_resort = threading.Timer(deadline_seconds, os._exit, [1])
        last_resort.daemon = True
        last_resort.start()

    before = {number: signal.signal(number, obey) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        if last_resort is not None:
            last_resort.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)


def run_or_explain(sources: Sequence[Source], **options: object) -> int:
    """Calls `run`, prints its errors as one line on stderr, and returns the exit code."""
    try:
        log_json_if_asked()
        run(sources, **options)  # type: ignore[arg-type]  # the options of `run`, passed on
    except (ModuleUnusable, ProcessorInvalid, ValueError) as problem:
        print(f"jobsvc worker: {problem}", file=sys.stderr)
        # What a module needs when it is imported, a network or a disk, may be there later.
        is_temporary = isinstance(problem.__cause__, OSError)
        return ExitCode.TEMPORARY if is_temporary else ExitCode.CONFIGURATION
    except WorkerStopped as problem:
        # Another release of the server, or the end of another process, may change its mind.
        print(f"jobsvc worker: {problem}", file=sys.stderr)
        return ExitCode.TEMPORARY
    return ExitCode.DONE


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs `python -m jobsvc.worker` and returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m jobsvc.worker",
        description="Works on jobs with the processors in MODULEs, until SIGTERM or SIGINT.",
    )
    parser.add_argument(
        "modules", nargs="+", metavar="MODULE", help="dotted name, or path of a .py file"
    )
    parser.add_argument(
        "--target",
        metavar="HOST:PORT",
        help=f"the server (default: $JOBSVC_TARGET or {DEFAULT_TARGET})",
    )
    parser.add_argument(
        "--tls", action="store_true", help="connect over TLS (default: $JOBSVC_TLS)"
    )
    parser.add_argument(
        "--ca",
        metavar="FILE",
        help="certificates to trust (PEM); turns on TLS (default: $JOBSVC_CA)",
    )
    parser.add_argument(
        "--cert",
        metavar="FILE",
        help="certificate to show (PEM); turns on TLS (default: $JOBSVC_CERT)",
    )
    parser.add_argument(
        "--key", metavar="FILE", help="key of that certificate (PEM) (default: $JOBSVC_KEY)"
    )
    parser.add_argument(
        "--token-file",
        metavar="FILE",
        help="the worker's token, read for each stream (default: $JOBSVC_TOKEN_FILE)",
    )
    parser.add_argument(
        "--concurrency",
        type=int,
        default=DEFAULT_CONCURRENCY,
        metavar="N",
        help="jobs that run at a time (default: %(default)s)",
    )
    parser.add_argument(
        "--window",
        type=int,
        metavar="N",
        help="jobs to lease, running or waiting here (default: the concurrency)",
    )
    parser.add_argument(
        "--grace",
        type=float,
        default=DEFAULT_GRACE_SECONDS,
        metavar="SECONDS",
        help="time for running jobs to end after SIGTERM (default: %(default)g)",
    )
    parser.add_argument(
        "--blocked-seconds",
        type=float,
        default=DEFAULT_BLOCKED_SECONDS,
        metavar="SECONDS",
        help="end the process when a job blocks its event loop for so long (default: %(default)g)",
    )
    parser.add_argument(
        "--version", default="", metavar="TEXT", help="release of the worker's code, for people"
    )
    parser.add_argument(
        "--take-back",
        action="store_true",
        help="for a rollback: declare the schemas even where a queue has newer ones",
    )
    chosen = parser.parse_args(arguments)
    if complaint := unknown_names(os.environ):
        print(f"jobsvc worker: warning: {complaint}", file=sys.stderr)
    return run_or_explain(
        chosen.modules,
        target=chosen.target,
        tls=chosen.tls,
        ca=chosen.ca,
        cert=chosen.cert,
        key=chosen.key,
        token_file=chosen.token_file,
        concurrency=chosen.concurrency,
        window=chosen.window,
        grace_seconds=chosen.grace,
        version=chosen.version,
        take_back=chosen.take_back,
        blocked_seconds=chosen.blocked_seconds,
    )
