"""What a worker logs about refused outcomes, from a real server and in a storm."""

import json
import logging

import asyncpg
import pytest
from google.rpc import code_pb2, error_details_pb2

from jobsvc.app import Replica
from jobsvc.event_log import MAX_LINES
from jobsvc.tracing.json_log import JsonFormatter
from jobsvc.v1.worker_service_pb2 import JobLease, OutcomeResult
from jobsvc.worker import Processor
from jobsvc.worker.refusal_log import RefusalLog
from jobsvc.worker.running_attempt import RunningAttempt
from tests.support.probe import eventually
from tests.worker.support.callers import Caller, Numbers, Sum, worker


def refusal(lease_id: str, reason: str = "LEASE_LOST") -> OutcomeResult:
    """A result with a reason, as the server sends it."""
    result = OutcomeResult(lease_id=lease_id)
    result.status.code = code_pb2.FAILED_PRECONDITION
    result.status.message = "it is not current"
    if reason:
        result.status.details.add().Pack(error_details_pb2.ErrorInfo(reason=reason))
    return result


def attempt(lease_id: str) -> RunningAttempt:
    return RunningAttempt(
        JobLease(lease_id=lease_id, job_id="j", queue="q", attempt=2), 0.0, lambda _: None
    )


async def test_outcome_that_the_server_refuses_is_named_and_explained(
    server: Replica,
    channel: object,
    sql: asyncpg.Connection,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caller = Caller(channel)  # type: ignore[arg-type]

    async def lose(numbers: Numbers) -> Sum:
        await sql.execute("UPDATE lease SET lease_id = lease_id + 1")
        return Sum(numbers.a)

    def refused() -> list[logging.LogRecord]:
        return [r for r in caplog.records if getattr(r, "event", "") == "outcome_lease_lost"]

    async with worker(server, Processor(lose, "q")):
        job_id = await caller.create(text='{"a": 1}')
        (record,) = await eventually(refused)
    line = json.loads(JsonFormatter().format(record))
    assert line["message"] == (
        f"job {job_id} of q, attempt 1: its outcome came too late (LEASE_LOST:"
        f" lease {line['lease_id']} is not current);"
        " it does not count; the job runs again elsewhere, or has ended"
    )
    assert (line["level"], line["job_id"], line["queue"], line["attempt"], line["reason"]) == (
        "WARNING",
        job_id,
        "q",
        1,
        "LEASE_LOST",
    )


def test_storm_of_refusals_is_a_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    log = RefusalLog()
    for number in range(1000):
        log.came_too_late(refusal(f"l{number}"), attempt(f"l{number}"))
        log.is_deferred(refusal(f"l{number}", "DATABASE_UNAVAILABLE"), attempt(f"l{number}"))
    log.tell_missed(at_end=True)
    assert len(caplog.records) == 2 * (MAX_LINES + 1)
    assert f"and {1000 - MAX_LINES} more (outcome_lease_lost)" in caplog.text


def test_refusal_that_nobody_explains_is_told_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    RefusalLog().is_malformed(refusal("l", reason=""), None, is_replaced=False)
    (record,) = caplog.records
    assert record.getMessage() == (
        "job unknown of unknown, attempt 0: its outcome was refused as malformed"
        " (FAILED_PRECONDITION: it is not current); giving up"
    )
    assert record.levelname == "ERROR"
