"""Streams and calls that wait end with what let them in; all others go on."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import aio

from jobsvc.api.gate import Gate
from jobsvc.app import Replica
from jobsvc.auth.authenticator import Authenticator
from jobsvc.auth.jwks import IssuerKeys
from jobsvc.auth.jwt import JwtVerifier
from jobsvc.domain.access_policy import read_policy
from jobsvc.domain.errors import CredentialsInvalid, RoleRequired
from jobsvc.domain.identity import ROLES
from jobsvc.settings import Settings
from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1 import queue_service_pb2 as queue_service
from jobsvc.v1 import worker_service_pb2 as worker_pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.identities import (
    POLICY,
    Metadata,
    authenticating,
    bearer,
    make_key,
    revoke_key,
)
from tests.api.support.refusal import refused
from tests.api.support.worker_stream import HandStream, subscribe
from tests.support.issuer import AUDIENCE, NAME, Issuer
from tests.support.probe import eventually

_INVALID = (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID")


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def settings(settings: Settings, tmp_path: Path, issuer: Issuer) -> Settings:
    return replace(authenticating(settings, tmp_path, issuer), stream_after_expiry_seconds=1.0)


@pytest.fixture
async def job_id(channel: aio.Channel, issuer: Issuer) -> str:
    """A job that nobody works on, of the service `jwt:web`."""
    metadata = bearer(issuer.token("web", tuple(ROLES)))
    for name in ("q", "mail-in"):
        queue = queue_service.Queue(name=name)
        declare = queue_service.UpdateQueueRequest(queue=queue, allow_missing=True)
        await QueueServiceStub(channel).UpdateQueue(declare, metadata=metadata)
    request = pb.CreateJobRequest(spec=job_pb2.JobSpec(queue="q"))
    job: str = (await JobServiceStub(channel).CreateJob(request, metadata=metadata)).job.id
    return job


class Open:
    """A call that waits: begun, and known to be served."""

    def __init__(self, channel: aio.Channel, job_id: str) -> None:
        self._channel = channel
        self._job_id = job_id

    async def status_stream(self, metadata: Metadata) -> Awaitable[Any]:
        request = pb.StreamJobStatusRequest(job_ids=[self._job_id])
        stream = JobServiceStub(self._channel).StreamJobStatus(request, metadata=metadata)
        await stream.read()
        await stream.read()
        return _read_all(stream)

    async def work(self, metadata: Metadata) -> Awaitable[Any]:
        stream = HandStream(WorkerServiceStub(self._channel).Work(metadata=metadata))
        await stream.send(subscribe=subscribe(queues=("mail-in",)))
        await stream.frame("subscribed")
        return _read_all(stream.call)

    async def lease_jobs(self, metadata: Metadata) -> Awaitable[Any]:
        request = worker_pb.LeaseJobsRequest(
            worker=worker_pb.WorkerInfo(worker_id="w"), queues=["mail-in"]
        )
        request.wait.seconds = 60
        call = WorkerServiceStub(self._channel).LeaseJobs(request, metadata=metadata)
        jobs = QueueServiceStub(self._channel)
        admin = metadata
        seen = await eventually(
            lambda: jobs.ListWorkers(queue_service.ListWorkersRequest(), metadata=admin),
            lambda answer: len(answer.workers) > 0,
        )
        assert seen
        return call


async def _read_all(stream: Any) -> None:
    while await stream.read() is not aio.EOF:
        pass


KINDS = ("status_stream", "work", "lease_jobs")
Begin = Callable[[str, Metadata], Awaitable[Awaitable[Any]]]


@pytest.fixture
def begin(channel: aio.Channel, job_id: str) -> Begin:
    """Begins a call of a kind, and returns what is to be awaited for its end."""

    async def begun(kind: str, metadata: Metadata) -> Awaitable[Any]:
        waiting: Awaitable[Any] = await getattr(Open(channel, job_id), kind)(metadata)
        return asyncio.ensure_future(waiting) if asyncio.iscoroutine(waiting) else waiting

    return begun


@pytest.mark.parametrize("kind", KINDS)
async def test_call_outlives_its_token_by_the_settings_time_at_most(
    begin: Begin, issuer: Issuer, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "jobsvc")
    good = await begin("status_stream", bearer(issuer.token("web", tuple(ROLES))))
    began = time.monotonic()
    ending = await begin(kind, bearer(issuer.token("web", tuple(ROLES), life=1)))
    assert (await refused(ending)).what == _INVALID
    assert time.monotonic() - began > 1.0
    if kind == "work":
        await eventually(lambda: "w1 must show credentials anew; it holds no job" in caplog.text)
    assert "is lost" not in caplog.text
    assert not good.done()  # type: ignore[attr-defined]
    good.cancel()  # type: ignore[attr-defined]


@pytest.mark.parametrize("hint", [True, False])
@pytest.mark.parametrize("kind", KINDS)
async def test_revoked_key_ends_calls_on_all_replicas(
    dsn: str,
    begin: Begin,
    start_replica: Callable[[], AbstractAsyncContextManager[Replica]],
    job_id: str,
    kind: str,
    hint: bool,
) -> None:
    async with (
        start_replica() as other,
        aio.insecure_channel(f"127.0.0.1:{other.port}") as elsewhere,
    ):
        key, key_id = await make_key(dsn, "a")
        kept, _ = await make_key(dsn, "b", number=2)

        async def admin_gets(channel: aio.Channel, secret: str) -> object:
            jobs, request = JobServiceStub(channel), pb.GetJobRequest(job_id=job_id)
            try:
                return await jobs.GetJob(request, metadata=bearer(secret))
            except aio.AioRpcError:
                return None

        await eventually(lambda: admin_gets(elsewhere, key))
        await eventually(lambda: admin_gets(elsewhere, kept))
        here = await eventually_begun(begin, kind, bearer(key))
        there = asyncio.ensure_future(await Open(elsewhere, job_id).status_stream(bearer(key)))
        bystander = await eventually_begun(begin, "status_stream", bearer(kept))
        await revoke_key(dsn, key_id, hint)
        revoked = time.monotonic()
        assert (await refused(here)).what == _INVALID
        assert (await refused(there)).what == _INVALID
        # A second, and what a busy machine adds.
        assert time.monotonic() - revoked < 5
        assert not await admin_gets(elsewhere, key)
        assert await admin_gets(elsewhere, kept)
        assert not bystander.done()  # type: ignore[attr-defined]
        bystander.cancel()  # type: ignore[attr-defined]


async def eventually_begun(begin: Begin, kind: str, metadata: Metadata) -> Awaitable[Any]:
    """Begins a call with a key that this replica may not know yet."""

    async def tried() -> Awaitable[Any] | None:
        try:
            return await begin(kind, metadata)
        except aio.AioRpcError as error:
            if error.code() != grpc.StatusCode.UNAUTHENTICATED:
                raise
            return None

    for _ in range(100):
        if (found := await tried()) is not None:
            return found
        await asyncio.sleep(0.05)  # Between two tries.
    raise AssertionError("the key is not known")


async def test_role_that_is_taken_away_ends_streams_and_others_go_on(
    settings: Settings, begin: Begin, issuer: Issuer
) -> None:
    assert settings.policy is not None
    work = await begin("work", bearer(issuer.token("web", ("jobs.worker",))))
    reader = ("payloads.viewer",)
    status = await begin("status_stream", bearer(issuer.token("web", reader)))
    # Half of a policy is none.
    settings.policy.write_text(POLICY[: len(POLICY) // 2] + "\nroles = [")
    await asyncio.sleep(1.5)  # The server may look at the file; nothing must happen.
    assert not work.done()  # type: ignore[attr-defined]
    settings.policy.write_text(POLICY.replace("'mail-*'", "'post-*'"))
    assert (await refused(work)).what == _INVALID
    with pytest.raises(aio.AioRpcError) as denied:
        await begin("work", bearer(issuer.token("web", ("jobs.worker",))))
    assert denied.value.code() == grpc.StatusCode.PERMISSION_DENIED
    assert not status.done()  # type: ignore[attr-defined]
    status.cancel()  # type: ignore[attr-defined]


async def test_key_that_the_issuer_has_taken_back_ends_its_streams(
    settings: Settings, begin: Begin, issuer: Issuer
) -> None:
    assert settings.jwt_jwks is not None
    old = await begin("status_stream", bearer(issuer.token("web", tuple(ROLES))))
    issuer.rotate(keep=False)
    issuer.write(Path(settings.jwt_jwks))
    assert (await refused(old)).what == _INVALID
    new = await begin("status_stream", bearer(issuer.token("web", tuple(ROLES))))
    new.cancel()  # type: ignore[attr-defined]


class Peer:
    """A call without a certificate, as gRPC describes it."""

    def auth_context(self) -> dict[str, list[bytes]]:
        return {}


@pytest.mark.parametrize("is_taken_away", [True, False])
async def test_change_between_the_door_and_the_handler_is_not_missed(
    tmp_path: Path, issuer: Issuer, is_taken_away: bool
) -> None:
    other = Issuer()
    (issuer if not is_taken_away else other).write(tmp_path / "later.json")
    issuer.write(tmp_path / "keys.json")
    authenticator = Authenticator()
    gate = Gate(authenticator, 60.0)

    def verifier(name: str) -> JwtVerifier:
        keys = IssuerKeys(str(tmp_path / name), lambda: authenticator.forget("jwt:"))
        return JwtVerifier(keys, NAME, AUDIENCE, ["ES256"])

    authenticator.tokens = verifier("keys.json")
    authenticator.take_policy(read_policy(POLICY))
    context: Any = Peer()
    await gate.enter(("jobs.viewer",), context, bearer(issuer.token("web", ("jobs.viewer",))))
    # As while the request is read. Nobody looks at calls that wait: the loop is not run.
    authenticator.tokens = verifier("later.json")
    served: list[object] = []

    async def handle(request: object, _: object) -> None:
        served.append(request)

    if is_taken_away:
        with pytest.raises(CredentialsInvalid):
            await gate.bounded(handle)("request", context)
        assert served == []
    else:
        await gate.bounded(handle)("request", context)
        assert served == ["request"]


@pytest.mark.parametrize("change", ["policy", "keys", "expiry"])
async def test_change_while_a_call_waits_to_be_counted_is_not_missed(
    tmp_path: Path, issuer: Issuer, change: str
) -> None:
    now = time.time()
    issuer.write(tmp_path / "keys.json")
    authenticator = Authenticator(lambda: now)
    gate = Gate(authenticator, 60.0, lambda: now)
    keys = IssuerKeys(str(tmp_path / "keys.json"), lambda: authenticator.forget("jwt:"))
    authenticator.tokens = JwtVerifier(keys, NAME, AUDIENCE, ["ES256"], lambda: now)
    authenticator.take_policy(read_policy(POLICY))
    context: Any = Peer()
    metadata = bearer(issuer.token("web", ("jobs.viewer",)))
    assert gate.recall(context, metadata) is None
    identity = await gate.enter(("jobs.viewer",), context, metadata)
    recalled = gate.recall(context, metadata)
    assert recalled is not None
    assert await gate.enter(("jobs.viewer",), context, metadata, recalled) is identity
    # As while the call is held up for a refusal.
    if change == "policy":
        authenticator.take_policy(read_policy(""))
    elif change == "keys":
        other = Issuer()
        other.write(tmp_path / "keys.json")
        keys.reload()
    else:
        now += 100_000
    with pytest.raises(RoleRequired if change == "policy" else CredentialsInvalid):
        await gate.enter(("jobs.viewer",), context, metadata, recalled)
