"""One trace from the caller to the end of the job, over processes, attempts and replicas."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import asyncpg

from jobsvc.telemetry import ERROR_TYPE, JOB_ATTEMPT, JOB_STATE, MESSAGE_ID
from jobsvc.tracing.span import Span
from jobsvc.tracing.span_files import find_trace, find_trace_ids
from tests.e2e.support.stage import Stage
from tests.support.probe import eventually

#: Spans reach their file within half a second of their end, on a machine that is not busy.
WRITTEN_SECONDS = 30.0


def create(target: str, traces: Path, queue: str, text: str = "{}") -> str:
    """Creates a job from a process of its own, which is traced, and returns the id."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("JOBSVC_", "OTEL_"))}
    return subprocess.run(
        [sys.executable, "-m", "jobsvc", "create", queue, text, "--target", target],
        env={**inherited, "JOBSVC_TRACE_DIR": str(traces)},
        stdout=subprocess.PIPE,
        text=True,
        timeout=30,
        check=True,
    ).stdout.strip()


async def trace_of(traces: Path, job_id: str, spans: int) -> list[Span]:
    """The only trace of a job, once it has that many spans."""

    def complete() -> list[Span]:
        ids = find_trace_ids(traces, job_id)
        found = find_trace(traces, ids[0]) if len(ids) == 1 else []
        return found if len(found) >= spans else []

    return await eventually(
        complete,
        seconds=WRITTEN_SECONDS,
        what=lambda: f"{spans} spans in one trace of {find_trace_ids(traces, job_id)}",
    )


def parent_of(spans: list[Span], span: Span) -> str:
    """The name of a span's parent."""
    return next((s.name for s in spans if s.span_id == span.parent_id), "")


def check_of_job(spans: list[Span], queue: str, job_id: str, attempts: int) -> None:
    """Caller, CreateJob, send, and process and settle for each attempt: one tree, one trace."""
    assert len({span.trace_id for span in spans}) == 1
    create_job = "jobsvc.v1.JobService/CreateJob"
    kinds = Counter((span.name, span.kind) for span in spans)
    assert kinds == {
        (create_job, "CLIENT"): 1,
        (create_job, "SERVER"): 1,
        (f"send {queue}", "PRODUCER"): 1,
        (f"process {queue}", "CONSUMER"): attempts,
        (f"settle {queue}", "CLIENT"): attempts,
    }
    (send,) = [span for span in spans if span.kind == "PRODUCER"]
    assert parent_of(spans, send) == create_job
    for span in spans:
        if span.name in (f"process {queue}", f"settle {queue}"):
            assert span.parent_id == send.span_id
            assert span.attributes[MESSAGE_ID] == job_id
        if span.kind == "CONSUMER":
            assert [link.span_id for link in span.links] == [send.span_id]
    for name in (f"process {queue}", f"settle {queue}"):
        numbers = [span.attributes[JOB_ATTEMPT] for span in spans if span.name == name]
        assert numbers == list(range(1, attempts + 1))
    services = {span.service for span in spans}
    assert len(services) == 3, services


async def test_one_trace_goes_from_the_caller_to_the_end_over_a_retry(stage: Stage) -> None:
    traces = stage.folder / "traces"
    server = await stage.serve(trace_dir=traces)
    await stage.work(server.target, JOBSVC_TRACE_DIR=str(traces))
    async with stage.calls(server.target) as caller:
        job_id = create(server.target, traces, "flaky")
        await caller.follow([job_id])
    spans = await trace_of(traces, job_id, 7)
    check_of_job(spans, "flaky", job_id, attempts=2)
    first, second = [span for span in spans if span.name == "process flaky"]
    assert (first.status, second.status) == ("ERROR", "UNSET")
    states = [s.attributes[JOB_STATE] for s in spans if s.name == "settle flaky"]
    assert states == ["PENDING", "COMPLETED"]


async def test_trace_crosses_replicas(stage: Stage) -> None:
    traces = stage.folder / "traces"
    far, near = [await stage.serve(trace_dir=traces) for _ in range(2)]
    await stage.work(far.target, JOBSVC_TRACE_DIR=str(traces))
    async with stage.calls(near.target) as caller:
        job_id = create(near.target, traces, "nap")
        await caller.follow([job_id])
    spans = await trace_of(traces, job_id, 5)
    check_of_job(spans, "nap", job_id, attempts=1)
    # The two halves of the server's part come from different processes.
    files = [f for f in traces.iterdir() if spans[0].trace_id in f.read_text()]
    assert len(files) == 4


async def test_trace_outlives_a_killed_worker(stage: Stage) -> None:
    traces = stage.folder / "traces"
    server = await stage.serve(trace_dir=traces)
    doomed = await stage.work(server.target, JOBSVC_TRACE_DIR=str(traces))
    async with stage.calls(server.target) as caller:
        job_id = create(server.target, traces, "nap", '{"seconds":1}')
        await eventually(lambda: stage.history.runs(job_id), what="the run")
        doomed.kill()
        await stage.work(server.target, JOBSVC_TRACE_DIR=str(traces))
        await caller.follow([job_id])
    # The span of the attempt that was killed died with its process; the server tells of it.
    spans = await trace_of(traces, job_id, 6)
    assert len({span.trace_id for span in spans}) == 1
    lost, settled = [span for span in spans if span.name == "settle nap"]
    assert (lost.attributes[JOB_ATTEMPT], lost.attributes[ERROR_TYPE]) == (1, "LEASE_EXPIRED")
    assert (settled.attributes[JOB_ATTEMPT], settled.attributes[JOB_STATE]) == (2, "COMPLETED")
    (process,) = [span for span in spans if span.name == "process nap"]
    assert process.attributes[JOB_ATTEMPT] == 2


async def test_trace_shows_how_a_job_ended_whose_outcome_could_not_be_stored(
    stage: Stage, sql: asyncpg.Connection
) -> None:
    await sql.execute("ALTER TABLE result ADD CHECK (output IS NULL)")
    traces = stage.folder / "traces"
    server = await stage.serve(trace_dir=traces)
    await stage.work(server.target)
    async with stage.calls(server.target) as caller:
        job_id = create(server.target, traces, "nap")
        await caller.follow([job_id])
    (settled,) = [s for s in await trace_of(traces, job_id, 4) if s.name == "settle nap"]
    shown = (settled.attributes[JOB_STATE], settled.attributes[ERROR_TYPE])
    assert shown == ("FAILED", "OUTCOME_REJECTED")
