"""A caller that is refused again and again hears of it later; until then, it may get room."""

import asyncio
from dataclasses import replace

import pytest
from grpc import StatusCode, aio

from jobsvc.api.admission import Admission
from jobsvc.api.late_refusals import LateRefusals
from jobsvc.domain.refusal_pace import AT_ONCE, MOST_SECONDS, PER_SECOND
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from tests.api.support.fixtures import Create
from tests.support.probe import eventually
from tests.support.settings import TEST_SETTINGS

_TEN = replace(TEST_SETTINGS, max_status_streams=10)
_ALONE = 8
#: So many that the last is as late as can be.
_MANY = AT_ONCE + int(MOST_SECONDS * PER_SECOND)


@pytest.mark.parametrize("settings", [_TEN])
async def test_call_beyond_its_share_waits_and_gets_room(
    jobs: JobServiceStub, create: Create
) -> None:
    request = pb.StreamJobStatusRequest(job_ids=[(await create()).id])
    open_streams: set[int] = set()
    refused: list[StatusCode] = []

    async def follow(name: int, seconds: float | None = None) -> None:
        try:
            async for _ in jobs.StreamJobStatus(request, timeout=seconds):
                open_streams.add(name)
        except aio.AioRpcError as error:
            refused.append(error.code())

    async with asyncio.TaskGroup() as tasks:
        first = [tasks.create_task(follow(n)) for n in range(_ALONE)]
        await eventually(lambda: len(open_streams) == _ALONE)
        others = [tasks.create_task(follow(n)) for n in range(_ALONE, _ALONE + _MANY)]
        await eventually(lambda: len(refused) >= AT_ONCE)
        # One more hears of it before its deadline.
        await asyncio.wait([tasks.create_task(follow(-1, 3.0))])
        assert set(refused) == {StatusCode.RESOURCE_EXHAUSTED}
        first[0].cancel()
        await eventually(lambda: max(open_streams) >= _ALONE, what="another one that gets in")
        for task in (*first, *others):
            task.cancel()


async def test_draining_server_ends_all_waiting() -> None:
    admission = Admission(TEST_SETTINGS)
    calls = [
        asyncio.ensure_future(admission.late_refusals.wait("a", None)) for _ in range(2 * _MANY)
    ]
    await asyncio.sleep(0)  # a pass, in which all have begun
    assert not calls[-1].done()
    admission.drain()
    one_more = asyncio.ensure_future(admission.late_refusals.wait("a", None))
    await asyncio.sleep(0)  # a pass, in which they go on
    assert calls[-1].done()
    assert one_more.done()


async def test_many_that_wait_are_not_joined_by_more() -> None:
    refusals = LateRefusals()
    count = 3 * LateRefusals.MAX_WAITING
    calls = [asyncio.ensure_future(refusals.wait("a", None)) for _ in range(count)]
    await asyncio.sleep(0)  # a pass, in which all have begun
    waiting = sum(not call.done() for call in calls)
    assert LateRefusals.MAX_WAITING // 2 < waiting <= LateRefusals.MAX_WAITING
    refusals.end()
    await asyncio.gather(*calls)
