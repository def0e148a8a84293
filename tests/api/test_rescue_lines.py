"""The log says whose jobs are rescued, why, and what has become of them."""

import json
import logging
from typing import Any

import asyncpg
import pytest

from jobsvc.event_log import MAX_NAMES
from jobsvc.tracing.json_log import JsonFormatter
from jobsvc.v1 import job_pb2
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import Create
from tests.api.support.worker import lease_all
from tests.support.probe import eventually


async def rescued(caplog: pytest.LogCaptureFixture, count: int) -> list[dict[str, Any]]:
    """The records about rescued jobs as JSON, once they name so many jobs."""

    def found() -> list[dict[str, Any]]:
        records = [r for r in caplog.records if getattr(r, "event", "") == "jobs_rescued"]
        return [json.loads(JsonFormatter().format(record)) for record in records]

    return await eventually(found, lambda lines: sum(x["job_count"] for x in lines) == count)


async def test_rescued_jobs_are_told_by_worker_and_fate(
    create: Create,
    workers: WorkerServiceStub,
    sql: asyncpg.Connection,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "jobsvc")
    many = [(await create()).id for _ in range(MAX_NAMES + 2)]
    once = (await create(retry_policy=job_pb2.RetryPolicy(max_attempts=1))).id
    await lease_all(workers, worker_id="a")
    cancelled = (await create()).id
    await lease_all(workers, worker_id="b")
    await sql.execute("UPDATE lease SET cancel_request_time = now() WHERE worker_id = 'b'")
    slow = (await create()).id
    await lease_all(workers, worker_id="c")
    await sql.execute("UPDATE lease SET until = now() - interval '1 second' WHERE worker_id <> 'c'")
    await sql.execute(
        "UPDATE lease SET deadline = now() - interval '1 second' WHERE worker_id = 'c'"
    )
    records = await rescued(caplog, len(many) + 3)

    def one(worker_id: str, state: str) -> dict[str, Any]:
        (line,) = [r for r in records if (r["worker_id"], r["state"]) == (worker_id, state)]
        return line

    retried = one("a", "PENDING")
    assert (retried["queue"], retried["reason"], retried["job_count"], retried["next_attempt"]) == (
        "q",
        "LEASE_EXPIRED",
        len(many),
        2,
    )
    assert set(retried["job_ids"]) < set(many)
    named = ", ".join(retried["job_ids"])
    assert retried["message"] == (
        f"rescued {len(many)} of queue q from worker a, since the lease has expired:"
        f" retried as attempt 2 ({named} and 2 more)"
    )
    assert one("a", "FAILED")["message"] == (
        f"rescued 1 of queue q from worker a, since the lease has expired: FAILED ({once})"
    )
    assert one("b", "CANCELLED")["job_ids"] == [cancelled]
    assert one("c", "PENDING")["message"] == (
        "rescued 1 of queue q from worker c, since the attempt has run out of time:"
        f" retried as attempt 2 ({slow})"
    )
    assert {r["level"] for r in records} == {"WARNING"}
