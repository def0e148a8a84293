"""The caller of the demo: creates jobs, follows them on a stream, and collects the results."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing

from jobsvc.client import (
    AsyncClient,
    CreatedJob,
    JobUpdate,
    NewJob,
    QueueNotFound,
    RetryPolicy,
)
from jobsvc.demo.documents import MAX_ATTEMPTS, Document
from jobsvc.demo.failure import DemoFailed
from jobsvc.demo.results import Analysis, Result

QUEUE = "news-analyzer"
#: Short, so that the retry comes soon.
RETRY = RetryPolicy(max_attempts=MAX_ATTEMPTS, initial_backoff=0.3)
_POLL_SECONDS = 0.05


async def await_worker(client: AsyncClient, within_seconds: float) -> None:
    """Returns once a worker has declared the queue and is subscribed to it.

    Raises:
        TimeoutError: no worker did so in time.
    """
    async with asyncio.timeout(within_seconds):
        while True:
            try:
                [stats] = await client.queue_stats(QUEUE)
                if stats.worker_count:
                    return
            except QueueNotFound:
                pass  # the worker has not declared it yet
            await asyncio.sleep(_POLL_SECONDS)


async def create_jobs(client: AsyncClient, documents: Sequence[Document]) -> list[CreatedJob]:
    """Creates a job for each document: the texts in one batch, the others one by one."""
    jobs = [NewJob(QUEUE, d.input, retry=RETRY, labels={"source": "demo"}) for d in documents]
    created: dict[int, CreatedJob] = {}
    batch = [i for i, d in enumerate(documents) if "articleText" in d.input]
    created.update(zip(batch, await client.create_many([jobs[i] for i in batch]), strict=True))
    for i, document in enumerate(documents):
        if i not in created:
            created[i] = await client.create(QUEUE, document.input, retry=RETRY)
    return [created[i] for i in range(len(documents))]


async def follow_jobs(
    client: AsyncClient,
    documents: Sequence[Document],
    created: Sequence[CreatedJob],
    show: Callable[[JobUpdate], None],
    within_seconds: float,
) -> list[Result]:
    """Passes each update to `show` until all jobs have ended; returns a result for each document.

    Raises:
        DemoFailed: some jobs did not end in time.
    """
    ends: dict[str, JobUpdate] = {}
    try:
        async with (
            asyncio.timeout(within_seconds),
            aclosing(client.follow([job.id for job in created])) as updates,
        ):
            async for update in updates:
                show(update)
                if update.status.ended:
                    ends[update.job_id] = update
    except TimeoutError:
        pass  # raised below, with the jobs that are missing
    missing = [d.title for d, job in zip(documents, created, strict=True) if job.id not in ends]
    if missing:
        raise DemoFailed(f"not ended within {within_seconds:g} s: {', '.join(missing)}")
    return [
        _result(document, job, ends[job.id])
        for document, job in zip(documents, created, strict=True)
    ]


def _result(document: Document, job: CreatedJob, end: JobUpdate) -> Result:
    status = end.status
    assert job.create_time is not None
    assert status.end_time is not None
    error = ""
    if status.error and not status.succeeded:
        error = f"{status.error.reason or status.error.code}: {status.error.message}"
    return Result(
        document,
        job.id,
        status.state,
        status.attempt,
        (status.end_time - job.create_time).total_seconds(),
        status.output_as(Analysis) if status.succeeded else Analysis(),
        error,
    )
