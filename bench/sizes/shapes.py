"""The jobs that are measured: one thing more in each than in the first."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import uuid4

from msgspec.structs import replace

from bench.flat.round import new_job
from bench.measure.workload import INPUT
from jobsvc.domain.job import JobError, NewJob
from jobsvc.domain.owner import Owner

_CODE_UNAVAILABLE = 14
_LARGE_BYTES = 10_000
#: An error as workers report it.
ERROR = JobError(_CODE_UNAVAILABLE, "BUSY", "the mail server is busy", stack_trace="x" * 500)


@dataclass(frozen=True, slots=True)
class Shape:
    """Jobs of one kind: how one is made, the output it ends with, the attempts that fail first."""

    name: str
    make: Callable[[], NewJob] = field(default=new_job)
    output: Callable[[], str | None] = field(default=lambda: None)
    failures: int = 0


def _named() -> NewJob:
    job = new_job()
    return replace(
        job,
        request_id=str(uuid4()),
        request_digest=random.randbytes(32),
        traceparent=f"00-{random.randbytes(16).hex()}-{random.randbytes(8).hex()}-01",
    )


def _owned() -> NewJob:
    user = f"user-{random.randrange(10_000)}"
    return replace(new_job(), owner=Owner("jwt:shop", user, random.randbytes(32)))


def _labelled() -> NewJob:
    job = new_job()
    labels = {"order": f"{random.randrange(10**9)}", "tenant": f"t{random.randrange(100)}"}
    return replace(job, options=replace(job.options, labels=labels))


def _large() -> str:
    """Text that hardly gets smaller when it is compressed."""
    return f'{{"n": "{random.randbytes(_LARGE_BYTES // 2).hex()}"}}'


SHAPES = (
    Shape("input of 200 bytes, nothing else"),
    Shape("with a request id and a trace", _named),
    Shape("with a user and a session", _owned),
    Shape("with two labels", _labelled),
    Shape("with an output of 200 bytes", output=lambda: INPUT),
    Shape("with an attempt that failed before", failures=1),
    Shape("with 10 kB of input and of output", lambda: replace(new_job(), input=_large()), _large),
)
