"""ListWorkers."""

from typing import Any

import asyncpg
import grpc
import pytest
from grpc import aio

from jobsvc.v1 import queue_service_pb2 as pb
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import Create
from tests.api.support.refusal import refused
from tests.api.support.worker import lease_all
from tests.api.support.worker_stream import work
from tests.support.probe import eventually


async def _list(queues: QueueServiceStub, **fields: Any) -> list[pb.Worker]:
    return list((await queues.ListWorkers(pb.ListWorkersRequest(**fields))).workers)


async def test_connected_worker_is_shown_with_what_it_holds(
    queues: QueueServiceStub, create: Create, channel: aio.Channel
) -> None:
    jobs = [await create(), await create()]
    async with work(channel, window=7) as worker:
        leases = await worker.dispatched()
        (shown,) = await eventually(
            lambda: _list(queues), lambda found: found and found[0].lease_count == 2
        )
        assert (shown.window, list(shown.queues)) == (7, ["q"])
        assert shown.server_id
        assert shown.HasField("connect_time")
        assert shown.last_seen_time.ToDatetime() >= shown.connect_time.ToDatetime()
        assert {held.job_id for held in shown.leases} == {job.id for job in jobs}
        assert len(leases) == 2
        held = shown.leases[0]
        assert (held.queue, held.attempt) == ("q", 1)
        assert held.start_time.ToDatetime() >= jobs[0].create_time.ToDatetime()
        assert not shown.HasField("drain_time")


async def test_worker_that_makes_unary_calls_has_no_replica(
    queues: QueueServiceStub, create: Create, workers: WorkerServiceStub
) -> None:
    await create()
    assert await lease_all(workers, worker_id="caller")
    (shown,) = await eventually(lambda: _list(queues))
    assert (shown.info.worker_id, shown.server_id, shown.lease_count) == ("caller", "", 1)


async def _fill(sql: asyncpg.Connection, count: int, server: str = "s", age: int = 0) -> None:
    await sql.execute(
        "INSERT INTO worker SELECT 'w' || lpad(n::text, 4, '0'), $2, ARRAY['q', 'p' || n], 10, 0,"
        " '1', 'sdk', '{}', now(), now() - $3::integer * interval '1 second'"
        " FROM generate_series(1, $1) AS n",
        count,
        server,
        age,
    )


async def test_pages_hold_every_worker_once(
    queues: QueueServiceStub, queue: str, sql: asyncpg.Connection
) -> None:
    await _fill(sql, 120)
    await _fill(sql, 3, "other")
    seen: list[tuple[str, str]] = []
    request = pb.ListWorkersRequest(page_size=7)
    while True:
        page = await queues.ListWorkers(request)
        seen += [(w.info.worker_id, w.server_id) for w in page.workers]
        request.page_token = page.next_page_token
        if not page.next_page_token:
            break
        assert len(page.workers) == 7
    assert len(seen) == 123
    assert seen == sorted(set(seen))
    assert len(await _list(queues)) == 50


async def test_workers_of_one_queue_and_of_the_last_minute_are_listed(
    queues: QueueServiceStub, queue: str, declare: Any, sql: asyncpg.Connection
) -> None:
    await declare("p2")
    await _fill(sql, 3)
    await _fill(sql, 3, "gone", age=61)
    assert [w.info.worker_id for w in await _list(queues, queue="p2")] == ["w0002"]
    assert len(await _list(queues)) == 3


async def test_at_most_a_hundred_leases_of_a_worker_are_shown(
    queues: QueueServiceStub, queue: str, sql: asyncpg.Connection
) -> None:
    await _fill(sql, 1)
    await sql.execute("""
        INSERT INTO lease (
            job_id, lease_id, queue, rank, attempt, redeliveries, version, update_time, keyed,
            worker_id, start_time, duration, until, deadline)
        SELECT gen_random_uuid(), n, 'q', 0, n, 0, 2, now(), false, 'w0001',
            now() + n * interval '1 second', 30, now() + interval '1 h', now() + interval '1 h'
        FROM generate_series(1, 150) AS n""")
    (shown,) = await _list(queues)
    assert shown.lease_count == 150
    assert [held.attempt for held in shown.leases] == list(range(1, 101)), "the longest held first"


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"queue": "Q"}, (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")),
        ({"page_size": -1}, (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")),
        ({"page_token": "x"}, (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")),
        ({"queue": "nowhere"}, (grpc.StatusCode.NOT_FOUND, "QUEUE_NOT_FOUND")),
    ],
)
async def test_malformed_request_is_refused(
    queues: QueueServiceStub, fields: dict[str, Any], what: tuple[grpc.StatusCode, str]
) -> None:
    assert (await refused(_list(queues, **fields))).what == what
