"""What a Python worker imports.

    from workers import Context, processor

    @processor("news-analyzer")
    async def analyze(article: ArticleInput, context: Context) -> Analysis: ...

`jobsvc work MODULE` runs it; `Worker` and `run` do so from a program.
"""

from workers.command import run
from workers.context import Context, PreviousError
from workers.outcome import Cancelled, Fail, Release, Retry
from workers.processor import Processor, ProcessorInvalid, RetryPolicy, processor
from workers.stream_end import WorkerStopped
from workers.worker import Worker

__all__ = [
    "Cancelled",
    "Context",
    "Fail",
    "PreviousError",
    "Processor",
    "ProcessorInvalid",
    "Release",
    "Retry",
    "RetryPolicy",
    "Worker",
    "WorkerStopped",
    "processor",
    "run",
]
