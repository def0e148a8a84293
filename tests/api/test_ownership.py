"""A job belongs to the session or the user of the call that created it, and to nobody else."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import grpc
import pytest
from grpc import aio

from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from tests.api.support.fixtures import Create, Tables
from tests.api.support.refusal import refused

Metadata = tuple[tuple[str, str], ...]

_NOT_OWNED = (grpc.StatusCode.PERMISSION_DENIED, "JOB_NOT_OWNED")
_SESSION = "Opaque session 42/+="
SESSION: Metadata = (("x-session-id", _SESSION),)
USER: Metadata = (("x-user-id", "ann"),)


async def _get(jobs: JobServiceStub, job_id: str, metadata: Metadata) -> Any:
    return await jobs.GetJob(pb.GetJobRequest(job_id=job_id), metadata=metadata)


async def _wait(jobs: JobServiceStub, job_id: str, metadata: Metadata) -> Any:
    return await jobs.WaitJob(pb.WaitJobRequest(job_id=job_id, timeout={}), metadata=metadata)


async def _stream(jobs: JobServiceStub, job_id: str, metadata: Metadata) -> Any:
    request = pb.StreamJobStatusRequest(job_ids=[job_id])
    call = jobs.StreamJobStatus(request, metadata=metadata)
    first = await call.read()
    call.cancel()
    return first


async def _cancel(jobs: JobServiceStub, job_id: str, metadata: Metadata) -> Any:
    return await jobs.CancelJob(pb.CancelJobRequest(job_id=job_id), metadata=metadata)


async def _update(jobs: JobServiceStub, job_id: str, metadata: Metadata) -> Any:
    request = pb.UpdateJobRequest(job_id=job_id, spec={"priority": 1})
    return await jobs.UpdateJob(request, metadata=metadata)


async def _retry(jobs: JobServiceStub, job_id: str, metadata: Metadata) -> Any:
    call = jobs.RetryJob(pb.RetryJobRequest(job_id=job_id), metadata=metadata)
    return await _seen_waiting(call)


async def _delete(jobs: JobServiceStub, job_id: str, metadata: Metadata) -> Any:
    call = jobs.DeleteJob(pb.DeleteJobRequest(job_id=job_id), metadata=metadata)
    return await _seen_waiting(call)


async def _seen_waiting(call: Awaitable[Any]) -> Any:
    """Only who may see the job is told that it has not ended."""
    try:
        return await call
    except aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.FAILED_PRECONDITION:
            raise
        return error


_READS = {
    "GetJob": _get,
    "WaitJob": _wait,
    "StreamJobStatus": _stream,
    "CancelJob": _cancel,
    "UpdateJob": _update,
    "RetryJob": _retry,
    "DeleteJob": _delete,
}
Read = Callable[[JobServiceStub, str, Metadata], Awaitable[Any]]


@pytest.fixture(params=_READS.values(), ids=_READS.keys())
def read(request: pytest.FixtureRequest) -> Read:
    """Every way to read a job."""
    return request.param


@pytest.mark.parametrize(
    ("owner", "caller"),
    [
        ((), ()),
        ((), USER),
        ((), SESSION),
        (SESSION, SESSION),
        (SESSION, SESSION + USER),
        (USER, USER),
        (USER, USER + SESSION),
        (USER + SESSION, USER),
        (USER + SESSION, SESSION),
        (USER + SESSION, (("x-user-id", "bob"), *SESSION)),
        (USER + SESSION, (*USER, ("x-session-id", "another"))),
    ],
)
async def test_session_or_user_of_the_job_may_read_it(
    create: Create, jobs: JobServiceStub, read: Read, owner: Metadata, caller: Metadata
) -> None:
    job = await create(metadata=owner)
    assert await read(jobs, job.id, caller)


@pytest.mark.parametrize(
    ("owner", "caller"),
    [
        (SESSION, USER),
        (USER, SESSION),
        (SESSION, (("x-session-id", _SESSION.lower()),)),
        (SESSION, (("x-session-id", f"x{_SESSION}"),)),
        (SESSION, (("x-session-id", _SESSION.replace(" ", "  ")),)),
        (SESSION, (("x-user-id", _SESSION),)),
        (USER, (("x-user-id", "Ann"),)),
        (USER, (("x-user-id", "an"),)),
        (USER, (("x-session-id", "ann"),)),
        (USER + SESSION, (("x-user-id", "bob"), ("x-session-id", "another"))),
    ],
)
async def test_somebody_elses_job_is_refused(
    create: Create, jobs: JobServiceStub, read: Read, owner: Metadata, caller: Metadata
) -> None:
    job = await create(metadata=owner)
    refusal = await refused(read(jobs, job.id, caller))
    assert refusal.what == _NOT_OWNED
    assert refusal.metadata == {"jobId": job.id}


@pytest.mark.parametrize("owner", [SESSION, USER])
async def test_caller_without_metadata_is_told_what_is_missing(
    create: Create, jobs: JobServiceStub, read: Read, owner: Metadata
) -> None:
    job = await create(metadata=owner)
    refusal = await refused(read(jobs, job.id, ()))
    assert refusal.what == _NOT_OWNED
    assert refusal.metadata == {"jobId": job.id, "missingMetadata": "x-session-id"}


async def test_stored_hash_is_no_session(
    create: Create, jobs: JobServiceStub, read: Read, sql: asyncpg.Connection
) -> None:
    job = await create(metadata=SESSION)
    stored = await sql.fetchval("SELECT encode(owner_session, 'hex') FROM job")
    for spelled in (stored, stored.upper(), f"\\x{stored}"):
        refusal = await refused(read(jobs, job.id, (("x-session-id", spelled),)))
        assert refusal.what == _NOT_OWNED


_BAD_VALUES = {"empty": "", "blank": " ", "blanks": " " * 256, "too long": "s" * 257}


@pytest.mark.parametrize("key", ["x-session-id", "x-user-id"])
@pytest.mark.parametrize("value", _BAD_VALUES.values(), ids=_BAD_VALUES.keys())
async def test_malformed_owner_is_refused(
    create: Create, jobs: JobServiceStub, read: Read, key: str, value: str
) -> None:
    job = await create()
    refusal = await refused(read(jobs, job.id, ((key, value),)))
    assert refusal.what == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert refusal.fields == [key]


@pytest.mark.parametrize("key", ["x-session-id", "x-user-id"])
@pytest.mark.parametrize("second", ["one", "two"])
async def test_owner_given_twice_is_refused(
    create: Create, jobs: JobServiceStub, read: Read, tables: Tables, key: str, second: str
) -> None:
    job = await create(metadata=((key, "one"),))
    before = await tables()
    twice = ((key, "one"), (key, second))
    for call in (read(jobs, job.id, twice), create(metadata=twice)):
        refusal = await refused(call)
        assert refusal.what == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
        assert refusal.fields == [key]
    assert await tables() == before


async def test_longest_session_is_accepted(create: Create, jobs: JobServiceStub) -> None:
    session = (("x-session-id", "~" * 256),)
    job = await create(metadata=session)
    assert await _get(jobs, job.id, session)


async def test_session_is_neither_stored_nor_returned(
    create: Create, jobs: JobServiceStub, sql: asyncpg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    session = "a-session-nobody-may-find"
    job = await create(metadata=(("x-session-id", session),))
    read = await _get(jobs, job.id, (("x-session-id", session),))
    refusal = await refused(_get(jobs, job.id, (("x-session-id", session + "x"),)))
    names = await sql.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'jobsvc'")
    rows = [
        dict(row)
        for name in names
        for row in await sql.fetch(f'SELECT to_jsonb(t)::text AS t FROM "{name["tablename"]}" t')
    ]
    seen = json.dumps(rows) + str(read) + str(job) + str(refusal) + caplog.text
    hexed = session.encode().hex()
    assert job.id in seen
    assert session not in seen
    assert hexed not in seen
