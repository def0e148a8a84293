"""The demo from start to end: what is started, in which order, and what is shown."""

import asyncio
import os
import secrets
import shlex
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeAlias

from rich.console import Console

from jobsvc.client import AsyncClient, JobUpdate
from jobsvc.demo.analysis import await_worker, create_jobs, follow_jobs
from jobsvc.demo.documents import Document, all_documents, licence_path
from jobsvc.demo.failure import DemoFailed
from jobsvc.demo.process import Process, start_process
from jobsvc.demo.progress import Titled
from jobsvc.demo.results import Result, find_problems, result_table, summarize
from jobsvc.demo.site import serve_site
from jobsvc.tracing import start_tracing
from jobsvc.tracing.drawing import draw
from jobsvc.tracing.span_folder import find_trace, find_trace_ids, remove_older
from jobsvc.tracing.waterfall import spans_of_job

#: Longest wait for the server, for the worker, and for all jobs.
START_SECONDS = 30.0
JOBS_SECONDS = 60.0
_KEEP_TRACES_SECONDS = 24 * 3600.0


#: Shows the updates it is given, as long as its block runs.
Display: TypeAlias = AbstractContextManager[Callable[[JobUpdate], None]]


async def run_demo(folder: Path, console: Console, display: Display) -> None:
    """Runs everything below `folder` (data, traces, logs) and prints what it sees.

    Nothing that it started is left running, however it ends.

    Raises:
        DemoFailed: something did not come out as it must.
        CallFailed: the server refused a call.
    """
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
    console.print(result_table(results))
    console.print(summarize(results, time.monotonic() - begin), style="bold")
    if problems := find_problems(results):
        raise DemoFailed("not as expected:\n  " + "\n  ".join(problems))
    # Last, since by now every process has written down its spans.
    _show_trace(results, traces, console)


@asynccontextmanager
async def _running(folder: Path, licence: Path | None) -> AsyncIterator[str]:
    """Server and worker; yields the server's address. What they print goes to `folder/logs`.

    Nested in the order of the drain: the worker ends before the server it
    talks to. When one of them ends by itself, so does the block.
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
    """Runs the block; when a process ends meanwhile, cancels it and says so by DemoFailed."""
    try:
        async with asyncio.TaskGroup() as group:
            guards = [group.create_task(process.must_run()) for process in processes]
            yield
            for guard in guards:
                guard.cancel()
    except BaseExceptionGroup as problems:
        # That a process ended explains the calls that failed because of it.
        first, *_ = sorted(problems.exceptions, key=lambda e: not isinstance(e, DemoFailed))
        raise first from None


def _environment(folder: Path) -> dict[str, str]:
    """Ours without any setting of jobsvc: the demo must not touch the user's own database."""
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
        # The demo's site is on the loopback interface, which the worker refuses by default.
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
    """The waterfall of the job with the most attempts that came to a good end."""
    told = max(results, key=lambda r: (r.analysis.counts.words > 0 and r.attempts, r.attempts))
    title = f"\nWhat happened to {told.document.title} (job {told.job_id}):"
    console.print(title, markup=False, style="bold")
    found = find_trace_ids(traces, told.job_id)
    for trace_id in found:
        draw(spans_of_job(find_trace(traces, trace_id), told.job_id), console)
    if not found:
        console.print("no spans: OTEL_TRACES_SAMPLER or OTEL_SDK_DISABLED turns them off")
    command = f"jobsvc trace {told.job_id} --dir {shlex.quote(str(traces))}"
    console.print(f"\nNext: {command}, or make test.", markup=False, soft_wrap=True)
