"""The fake clients: what they keep, and where they are as strict as the real ones."""

import inspect
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from jobsvc.client import (
    AsyncClient,
    Client,
    EtagMismatch,
    JobNotFound,
    JobStateConflict,
    NewJob,
    RequestIdReused,
    Unavailable,
    UniqueKeyTaken,
)
from jobsvc.testing import (
    FakeAsyncClient,
    FakeClient,
    cancelled,
    completed,
    failed,
    requeued,
    running,
)


@pytest.fixture
def client() -> FakeClient:
    return FakeClient()


def test_what_was_created_is_kept_in_order(client: FakeClient) -> None:
    first = client.create("mail", {"n": 1}, priority=5, labels={"a": "b"})
    client.create_many([NewJob("mail", {"n": 2}), NewJob("news", {"n": 3})])
    client.create("mail", {"n": 4}, validate_only=True)
    assert [(new.queue, new.input) for new in client.created] == [
        ("mail", {"n": 1}),
        ("mail", {"n": 2}),
        ("news", {"n": 3}),
    ]
    job = client.get(first.id)
    assert (job.state, job.input, job.priority, job.labels) == ("PENDING", {"n": 1}, 5, {"a": "b"})
    assert first.input is None, "as the real reply, which has no payloads"


def test_jobs_are_listed_newest_first_and_counted(client: FakeClient) -> None:
    client.script("mail", completed())
    ids = [client.create("mail", {"n": n}, labels={"n": f"{n}"}).id for n in range(3)]
    client.wait(ids[0])
    assert [job.id for job in client.list_jobs()] == ids[::-1]
    assert [job.id for job in client.list_jobs(states=["COMPLETED"])] == ids[:1]
    assert [job.id for job in client.list_jobs(labels={"n": "1"})] == ids[1:2]
    assert client.count_jobs(queues=["mail"]).count == 3
    later = datetime.now(UTC) + timedelta(hours=1)
    assert client.count_jobs(create_time_from=later).count == 0


def test_script_is_followed_step_by_step(client: FakeClient) -> None:
    client.script(
        "mail", running(50, "half"), requeued(message="x"), running(), completed({"a": 1})
    )
    job = client.create("mail")
    updates = list(client.follow([job.id]))
    assert [(u.status.state, u.status.attempt) for u in updates] == [
        ("PENDING", 0),
        ("PROCESSING", 1),
        ("PENDING", 1),
        ("PROCESSING", 2),
        ("COMPLETED", 2),
    ]
    versions = [update.status.version for update in updates]
    assert versions == sorted(set(versions))
    assert (updates[1].status.progress_percent, updates[1].status.progress_message) == (50, "half")
    assert updates[-1].status.output == {"a": 1}
    assert client.get(job.id).etag == f"{versions[-1]:x}"


def test_jobs_take_their_steps_in_turn_and_may_have_their_own(client: FakeClient) -> None:
    client.script("mail", running(), completed())
    first, second = client.create("mail"), client.create("mail")
    client.script(second.id, running(), failed(reason="NO"))
    seen = [(u.job_id, u.status.state) for u in client.follow([first.id, second.id])]
    assert seen[2:] == [
        (first.id, "PROCESSING"),
        (second.id, "PROCESSING"),
        (first.id, "COMPLETED"),
        (second.id, "FAILED"),
    ]
    assert client.get(second.id).status.error.reason == "NO"  # type: ignore[union-attr]


def test_script_that_ends_too_early_fails_the_test(client: FakeClient) -> None:
    client.script("mail", running())
    job = client.create("mail")
    assert client.wait(job.id, timeout=0).state == "PENDING", "a look, no wait"
    with pytest.raises(AssertionError, match=r"of mail is PROCESSING, and its script"):
        client.wait(job.id)


def test_jobs_are_controlled_as_their_state_allows(client: FakeClient) -> None:
    job = client.create("mail", {"n": 1})
    changed = client.update(job.id, priority=3, input={"n": 2})
    assert (changed.priority, changed.input) == (3, {"n": 2})
    with pytest.raises(EtagMismatch):
        client.cancel(job.id, etag=job.etag)
    with pytest.raises(JobStateConflict):
        client.delete(job.id)
    with pytest.raises(JobStateConflict):
        client.retry(job.id)
    assert client.cancel(job.id, "why").status.cancel_reason == "why"
    assert client.cancel(job.id).state == "CANCELLED", "again changes nothing"
    assert client.retry(job.id).state == "PENDING"
    client.script(job.id, cancelled())
    client.wait(job.id)
    with pytest.raises(JobStateConflict):
        client.update(job.id, priority=1)
    client.delete(job.id)
    with pytest.raises(JobNotFound):
        client.get(job.id)


def test_request_id_and_unique_key_find_the_job(client: FakeClient) -> None:
    request_id = uuid4()
    first = client.create("mail", {"n": 1}, request_id=request_id, unique_key="k")
    again = client.create("mail", {"n": 1}, request_id=request_id, unique_key="k")
    same_key = client.create("mail", {"n": 2}, unique_key="k")
    assert [(job.id, job.existing) for job in (first, again, same_key)] == [
        (first.id, False),
        (first.id, True),
        (first.id, True),
    ]
    with pytest.raises(RequestIdReused):
        client.create("mail", {"n": 3}, request_id=request_id, unique_key="k")
    with pytest.raises(UniqueKeyTaken) as taken:
        client.create("mail", unique_key="k", unique_conflict="fail")
    assert taken.value.metadata["jobId"] == first.id
    client.cancel(first.id)
    assert not client.create("mail", unique_key="k").existing


@pytest.mark.parametrize(
    ("queue", "input", "options"),
    [
        ("mail", object(), {}),
        ("mail", {"n": float("nan")}, {}),
        ("mail", [1], {}),
        ("mail", {}, {"ttl": 0}),
        ("mail", {}, {"delay": 1, "schedule_time": datetime.now(UTC)}),
        ("mail", {}, {"priority": 2**40}),
    ],
)
def test_what_the_real_client_refuses_is_refused(
    client: FakeClient, queue: str, input: Any, options: dict[str, Any]
) -> None:
    with pytest.raises((TypeError, ValueError)):
        Client("127.0.0.1:1").create(queue, input, **options)
    with pytest.raises((TypeError, ValueError)):
        client.create(queue, input, **options)
    assert client.created == []


def test_planned_failures_come_in_their_turn(client: FakeClient) -> None:
    client.fail("create", Unavailable("UNAVAILABLE", "away"), times=2)
    client.fail("get", JobNotFound("NOT_FOUND", "gone"))
    for _ in range(2):
        with pytest.raises(Unavailable):
            client.create("mail")
    job = client.create("mail")
    with pytest.raises(JobNotFound):
        client.get(job.id)
    assert client.get(job.id).id == job.id
    with pytest.raises(ValueError, match="no call 'creat'"):
        client.fail("creat", Unavailable("UNAVAILABLE", "away"))


def test_call_without_a_fake_says_so(client: FakeClient) -> None:
    with pytest.raises(NotImplementedError, match="FakeClient has no such call"):
        client.pause_queue("mail")


@pytest.mark.parametrize(("fake", "real"), [(FakeAsyncClient, AsyncClient), (FakeClient, Client)])
def test_fakes_take_what_the_real_clients_take(fake: type, real: type) -> None:
    faked = [name for name in vars(fake) if not name.startswith("_") and hasattr(real, name)]
    assert {"create", "create_many", "get", "wait", "follow", "cancel", "retry"} <= set(faked)
    for name in faked:
        own, real_one = (inspect.signature(getattr(kind, name)) for kind in (fake, real))
        assert own == real_one, name


async def test_async_fake_does_the_same() -> None:
    async with FakeAsyncClient() as client:
        client.script("mail", running(1), completed({"a": 1}))
        job = await client.create("mail")
        async with aclosing(client.follow([job.id])) as updates:
            assert [update.status.state async for update in updates] == [
                "PENDING",
                "PROCESSING",
                "COMPLETED",
            ]
        assert (await client.wait(job.id)).output == {"a": 1}
        assert [found.id async for found in client.list_jobs()] == [job.id]
        with pytest.raises(NotImplementedError):
            await client.list_workers()
