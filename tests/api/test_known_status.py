"""A follower that is told the new status of commits gets what a follower gets that reads."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import hypothesis.strategies as st
from google.rpc import code_pb2
from hypothesis import given

from jobsvc.api.byte_budget import ByteBudget, Charge, current_charge
from jobsvc.api.status_writer import StatusWriter
from jobsvc.domain.fair_limit import FairLimit
from jobsvc.domain.job import Job, JobError, JobState, JobStatus, NewStatus
from jobsvc.domain.owner import Owner
from jobsvc.domain.run_policy import RunPolicy
from jobsvc.event_loop.running import running
from jobsvc.jobs.followers import Follower, Hub
from jobsvc.jobs.read import JobReader
from jobsvc.store.store import Store
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.payload_pb2 import PAYLOAD_ENCODING_JSON_TEXT
from tests.store.support.samples import create
from tests.support.probe import eventually

_NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
_ID = "0190163d-8694-7000-8000-00000000000a"
#: Passes of the loop after which nothing goes on that waits for nothing.
_PASSES = 50


def _job(status: JobStatus) -> Job:
    return Job(
        id=_ID,
        queue="q",
        owner=Owner("", "", None),
        input=None,
        priority=0,
        schedule_time=None,
        expire_time=None,
        run_policy=RunPolicy(),
        unique_key=None,
        labels={},
        traceparent="",
        tracestate="",
        create_time=_NOON,
        request_id=None,
        request_digest=None,
        status=status,
        read_time=status.update_time,
    )


@st.composite
def _histories(draw: st.DrawFn) -> list[JobStatus]:
    """The statuses of a job, from its creation to its end."""
    versions = draw(st.integers(2, 6))
    states = [JobState.PENDING]
    states += draw(
        st.lists(
            st.sampled_from([JobState.PENDING, JobState.PROCESSING]),
            min_size=versions - 2,
            max_size=versions - 2,
        )
    )
    states.append(draw(st.sampled_from([JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED])))
    history = []
    for version, state in enumerate(states, 1):
        now = _NOON + timedelta(seconds=version)
        history.append(
            JobStatus(
                state=state,
                version=version,
                attempt=version // 2,
                update_time=now,
                progress_percent=draw(st.none() | st.integers(0, 100)),
                output='{"a":1}' if state is JobState.COMPLETED else None,
                error=JobError(code_pb2.INTERNAL, "R", "m", {"k": "v"}, "trace")
                if state is JobState.FAILED
                else None,
                start_time=_NOON if version > 1 else None,
                end_time=now if state.ended else None,
                worker_id="w" if version > 1 else "",
            )
        )
    return history


class _Reading:
    """Reads of a database that has committed some of a history: each sees what was committed when
    it began, and ends when it is let."""

    def __init__(self, history: Sequence[JobStatus]) -> None:
        self._history = history
        self.committed = 1
        self.begun = 0
        self.may_end = asyncio.Semaphore(0)

    async def read_statuses(self, job_ids: Sequence[str], _: bool) -> Mapping[str, Job]:
        self.begun += 1
        found = {job_id: _job(self._history[self.committed - 1]) for job_id in job_ids}
        await self.may_end.acquire()
        return found


async def _updates(
    history: Sequence[JobStatus], steps: Sequence[tuple[str, int]], max_bytes: int
) -> tuple[list[pb.JobUpdate], int]:
    """What a follower from the first version on is sent, and how often it reads."""
    current_charge.set(Charge(ByteBudget(FairLimit.reserving(1 << 20, 50)), "caller"))
    reading = _Reading(history)
    hub = Hub(cast(Any, None), 1.0, max_bytes)
    sent: list[pb.JobUpdate] = []

    async def send(update: pb.JobUpdate) -> None:
        sent.append(update)

    async def follow(follower: Follower) -> None:
        writer = StatusWriter(
            cast(JobReader, reading), follower, True, PAYLOAD_ENCODING_JSON_TEXT, send
        )
        while follower.seen:
            await writer.write_changed(await follower.woken())

    #: Of each commit: its status if it was one of this replica.
    to_come: list[JobStatus | None] = []

    def hear(status: JobStatus | None) -> None:
        known = {} if status is None else {_ID: NewStatus(_ID, "q", status, status.update_time)}
        hub.changed([_ID], known)

    with hub.follow(()) as follower:
        hub.join(follower, [_ID], version=1)
        following = asyncio.create_task(follow(follower))
        for step, number in steps:
            if step.startswith("commit") and reading.committed < len(history):
                reading.committed += 1
                to_come.append(history[reading.committed - 1] if step == "commit here" else None)
            elif step == "hear" and to_come:
                hear(to_come.pop(number % len(to_come)))
            elif step == "lose" and to_come:
                del to_come[number % len(to_come)]
            elif step == "end a read":
                reading.may_end.release()
            if number % 2:  # Otherwise the next step comes before the follower runs.
                for _ in range(_PASSES):
                    await asyncio.sleep(0)
        reading.committed = len(history)
        for status in to_come[::2]:
            hear(status)
        hear(None)  # By the poll of the hub.
        for _ in range(len(steps) + len(history)):
            reading.may_end.release()
        await asyncio.wait_for(following, 30)
    assert hub._known_bytes.held_bytes == 0
    return sent, reading.begun


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["commit here", "commit elsewhere", "hear", "lose", "end a read"]),
        st.integers(0, 9),
    ),
    max_size=25,
)


@given(_histories(), _STEPS, st.sampled_from([0, 1 << 20]))
def test_versions_rise_to_the_end_however_a_follower_hears_of_them(
    history: list[JobStatus], steps: list[tuple[str, int]], max_bytes: int
) -> None:
    sent, _ = asyncio.run(_updates(history, steps, max_bytes))
    versions = [update.status.version for update in sent]
    assert versions == sorted(set(versions)), "versions rise"
    assert versions[-1] == len(history), "the end always comes"
    for update in sent:
        # One that only reads, with all up to this version committed.
        (read,) = asyncio.run(_read(history[: update.status.version]))
        assert update == read


async def _read(history: Sequence[JobStatus]) -> list[pb.JobUpdate]:
    current_charge.set(Charge(ByteBudget(FairLimit.reserving(1 << 20, 50)), "caller"))
    reading = _Reading(history)
    reading.committed = len(history)
    reading.may_end.release()
    sent: list[pb.JobUpdate] = []

    async def send(update: pb.JobUpdate) -> None:
        sent.append(update)

    with Hub(cast(Any, None), 1.0).follow([_ID]) as follower:
        writer = StatusWriter(
            cast(JobReader, reading), follower, True, PAYLOAD_ENCODING_JSON_TEXT, send
        )
        await writer.write_changed([_ID])
    return sent


def test_commits_of_this_replica_need_no_read() -> None:
    history = [
        JobStatus(JobState.PENDING, 1, 0, _NOON),
        JobStatus(JobState.PROCESSING, 2, 1, _NOON),
        JobStatus(JobState.COMPLETED, 3, 1, _NOON, output="{}", end_time=_NOON),
    ]

    steps = [("commit here", 0), ("hear", 1)] * 2
    sent, reads = asyncio.run(_updates(history, steps, 1 << 20))
    assert [update.status.version for update in sent] == [2, 3]
    assert reads == 0
    sent, reads = asyncio.run(_updates(history, steps, 0))
    assert sent[-1].status.version == 3
    assert reads > 0, "where there is no room for them, they are read"


_RETRIED = [
    JobStatus(JobState.PENDING, 1, 0, _NOON),
    JobStatus(JobState.PROCESSING, 2, 1, _NOON),
    JobStatus(JobState.FAILED, 3, 1, _NOON, end_time=_NOON),
    JobStatus(JobState.PENDING, 4, 1, _NOON),
]


async def test_follower_that_has_read_nothing_yet_is_not_told_an_end_that_a_retry_has_undone() -> (
    None
):
    current_charge.set(Charge(ByteBudget(FairLimit.reserving(1 << 20, 50)), "caller"))
    reading = _Reading(_RETRIED)
    reading.committed = len(_RETRIED)
    reading.may_end.release()
    hub = Hub(cast(Any, None), 1.0)
    sent: list[pb.JobUpdate] = []

    async def send(update: pb.JobUpdate) -> None:
        sent.append(update)

    with hub.follow([_ID]) as follower:
        # Told late by this replica: another one has queued the job again.
        hub.changed([_ID], {_ID: NewStatus(_ID, "q", _RETRIED[2], _NOON)})
        writer = StatusWriter(
            cast(JobReader, reading), follower, False, PAYLOAD_ENCODING_JSON_TEXT, send
        )
        await writer.write_changed([_ID])
        assert [update.status.version for update in sent] == [4]
        assert follower.seen == {_ID: 4}, "it goes on"


async def test_follower_without_outputs_needs_no_room_for_one_that_is_known() -> None:
    budget = ByteBudget(FairLimit.reserving(1 << 20, 50))
    current_charge.set(Charge(budget, "caller"))
    current_charge.get().apart().take(budget.most_bytes)  # By its other streams.
    hub = Hub(cast(Any, None), 1.0)
    sent: list[pb.JobUpdate] = []

    async def send(update: pb.JobUpdate) -> None:
        sent.append(update)

    output = f'"{"a" * (100 << 10)}"'
    ended = JobStatus(JobState.COMPLETED, 2, 1, _NOON, output=output, end_time=_NOON)
    with hub.follow(()) as follower:
        hub.join(follower, [_ID], version=1)
        hub.changed([_ID], {_ID: NewStatus(_ID, "q", ended, _NOON)})
        writer = StatusWriter(
            cast(JobReader, None), follower, False, PAYLOAD_ENCODING_JSON_TEXT, send
        )
        async with asyncio.timeout(20):  # It would wait for longer.
            await writer.write_changed(await follower.woken())
    (update,) = sent
    assert update.status.version == 2
    assert not update.status.HasField("output")


async def test_status_that_nobody_has_taken_by_the_next_poll_is_read(store: Store) -> None:
    """The database may have gone back since, to the version that the follower has seen."""
    job_id = await create(store)
    hub = Hub(store.jobs, 0.01)
    lost = JobStatus(JobState.COMPLETED, 2, 1, _NOON, output="{}", end_time=_NOON)
    async with running(("hub", hub.run())):
        with hub.follow(()) as follower:
            hub.join(follower, [job_id], version=1)
            hub.changed([job_id], {job_id: NewStatus(job_id, "q", lost, _NOON)})
            assert hub._known_bytes.held_bytes > 0
            await eventually(lambda: hub._known_bytes.held_bytes == 0, seconds=30)
            assert await follower.woken() == [job_id]
            assert follower.take(job_id) is None
