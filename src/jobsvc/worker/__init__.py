"""The worker SDK: write processors, and run them.

    from jobsvc.worker import Context, Fail, Release, Retry, processor

    @processor("news-analyzer")
    async def analyze(article: ArticleInput, context: Context) -> Analysis: ...

`jobsvc work MODULE` and `python -m jobsvc.worker MODULE` run the processors of
a module; `Worker` and `run` do so from a program.
"""

from jobsvc.worker.command import run
from jobsvc.worker.context import Context, PreviousError
from jobsvc.worker.outcome import Cancelled, Fail, Release, Retry
from jobsvc.worker.processor import Processor, ProcessorInvalid, RetryPolicy, processor
from jobsvc.worker.stream_end import WorkerStopped
from jobsvc.worker.unknown_keys import allow_unknown_keys
from jobsvc.worker.worker import Worker

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
    "allow_unknown_keys",
    "processor",
    "run",
]
