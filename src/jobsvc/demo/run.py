"""The demo from start to end: starts everything in order, and prints the results."""

import asyncio
import os
import secrets
import shlex
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

from rich.console import Console

from jobsvc.client import AsyncClient, JobUpdate
from jobsvc.demo.caller import await_worker, create_jobs, follow_jobs
from jobsvc.demo.documents import Document, all_documents, licence_path
from jobsvc.demo.failure import DemoFailed
from jobsvc.demo.process import Process, start_process
from jobsvc.demo.progress import Titled
from jobsvc.demo.results import Result, find_problems, result_table, summarize
from jobsvc.demo.site import serve_site
from jobsvc.extras import NotInstalled
from jobsvc.tracing import start_tracing
from jobsvc.tracing.drawing import draw
from jobsvc.tracing.span_files import find_trace, find_trace_ids, remove_older
from jobsvc.tracing.waterfall import spans_of_job

#: Longest waits: for the server and for the worker, and for all jobs.
START_SECONDS = 30.0
JOBS_SECONDS = 60.0
_KEEP_TRACES_SECONDS = 24 * 3600.0


#: While its block runs, shows the updates that are passed to its function.
Display: TypeAlias = AbstractContextManager[Callable[[JobUpdate], None]]


async def run_demo(folder: Path, console: Console, display: Display) -> None:
    """Runs everything below `folder` (data, traces, logs) and prints the results.

    No process is left running, however the demo ends.

    Raises:
        NotInstalled: the worker of the demo is not there.
        DemoFailed: a result is not as it must be.
        CallFailed: the server refused a call.
    """
    _require_checkout()
    begin = time.monotonic()
    traces = folder / "traces"
    remove_older(traces, _KEEP_TRACES_SECONDS)
    licence = licence_path()
    with serve_site() as site:
        documents = all_documents(site, licence)
        console.print(f"Starting PostgreSQL, the server and a worker in {folder} …", markup=False)
        async with _running(folder, licence) as target:
            console.print(f"Ready after {time.monotonic() - begin:.1f} s.")
            results = await _analyse(target, documents, traces, console, display)
    console.print(result_table(results, console.width))
    console.print(summarize(results, time.monotonic() - begin), style="bold")
    if problems := find_problems(results):
        raise DemoFailed("not as expected:\n  " + "\n  ".join(problems))
    # Last: now every process has written its spans.
    _show_trace(results, traces, console)


def _require_checkout() -> None:
    workers = find_spec("workers")
    folders = (workers and workers.submodule_search_locations) or ()
    if not any((Path(folder) / "news_analyzer").is_dir() for folder in folders):
        raise NotInstalled(
            "the demo needs a checkout of jobsvc, `make demo` there: its worker,"
            " workers.news_analyzer, is not in the installed package"
        )


@asynccontextmanager
async def _running(folder: Path, licence: Path | None) -> AsyncIterator[str]:
    """Runs server and worker, their output in `folder/logs`; yields the server's address.

    The worker ends before its server, as in a drain. When one of them ends by
    itself, so does the block.
    """
    logs = [folder / "logs" / name for name in ("server.log", "worker.log")]
    for log in logs:
        log.unlink(missing_ok=True)
    serve = ["-m", "jobsvc", "serve"]
    async with start_process("the server", serve, _server_environment(folder), logs[0]) as server:
        found = await server.printed(r"^jobsvc listening on (\S+)\n", START_SECONDS)
        target = found.group(1)
        work = ["-m", "jobsvc", "work", "workers.news_analyzer"]
        work += ["--target", target, "--concurrency", "4"]
        environment = _worker_environment(folder, licence)
        async with (
            start_process("the worker", work, environment, logs[1]) as worker,
            _while_running(server, worker),
        ):
            yield target


@asynccontextmanager
async def _while_running(*processes: Process) -> AsyncIterator[None]:
    """Runs the block. When a process ends meanwhile, cancels the block and raises DemoFailed."""
    try:
        async with asyncio.TaskGroup() as group:
            guards = [group.create_task(process.must_run()) for process in processes]
            yield
            for guard in guards:
                guard.cancel()
    except BaseExceptionGroup as problems:
        # The end of a process explains the calls that failed because of it.
        first, *_ = sorted(problems.exceptions, key=lambda e: not isinstance(e, DemoFailed))
        raise first from None


def _environment(folder: Path) -> dict[str, str]:
    """Our environment without settings of jobsvc: the demo must not touch the user's database."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("JOBSVC_")}
    return {**kept, "JOBSVC_TRACE_DIR": str(folder / "traces")}


def _server_environment(folder: Path) -> dict[str, str]:
    return {
        **_environment(folder),
        "JOBSVC_DATA_DIR": str(folder),
        "JOBSVC_LISTEN": "127.0.0.1:0",
    }


def _worker_environment(folder: Path, licence: Path | None) -> dict[str, str]:
    return {
        **_environment(folder),
        # By default the worker does not read from loopback, where the demo's site is.
        "NEWS_ANALYZER_ALLOW_PRIVATE": "1",
        "NEWS_ANALYZER_FILE_ROOTS": str(licence.parent) if licence else "",
    }


async def _analyse(
    target: str, documents: Sequence[Document], traces: Path, console: Console, display: Display
) -> list[Result]:
    # Jobs are bound to the session: another caller could not even read them.
    async with AsyncClient(target, session_id=secrets.token_hex(16)) as client:
        try:
            await await_worker(client, START_SECONDS)
        except TimeoutError:
            raise DemoFailed(f"no worker subscribed within {START_SECONDS:g} s") from None
        with start_tracing("demo", traces):
            created = await create_jobs(client, documents)
            console.print(f"Created {len(created)} jobs; following them on one stream.")
            titles = {job.id: d.title for job, d in zip(created, documents, strict=True)}
            with display as show:
                titled = Titled(show, titles, steps_only=not console.is_terminal)
                return await follow_jobs(client, documents, created, titled.show, JOBS_SECONDS)


def _show_trace(results: Sequence[Result], traces: Path, console: Console) -> None:
    """Prints the waterfall of the completed job with the most attempts."""
    told = max(results, key=lambda r: (r.analysis.counts.words > 0 and r.attempts, r.attempts))
    title = f"\nWhat happened to {told.document.title} (job {told.job_id}):"
    console.print(title, markup=False, style="bold")
    found = find_trace_ids(traces, told.job_id)
    for trace_id in found:
        draw(spans_of_job(find_trace(traces, trace_id), told.job_id), console)
    if not found:
        console.print("no spans: OTEL_TRACES_SAMPLER or OTEL_SDK_DISABLED turns them off")
    command = f"jobsvc trace {told.job_id} --from {shlex.quote(str(traces))}"
    console.print(f"\nNext: {command}, or make test.", markup=False, soft_wrap=True)
