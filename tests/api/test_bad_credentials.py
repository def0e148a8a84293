"""Every method of every service on the port, called with every bad credential.

The methods come from the descriptors, and what a row of METHODS names is taken at its word: a new
method is tested without being named here, or fails until its request is described below.
"""

import asyncio
import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc import aio
from grpc_channelz.v1 import channelz_pb2
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from jobsvc.api.server import SERVICES
from jobsvc.app import Replica
from jobsvc.domain.identity import ADMIN, ROLES, WORKER
from jobsvc.domain.methods import METHODS, OTHER_SERVICES
from jobsvc.settings import Settings
from jobsvc.v1 import job_pb2, queue_service_pb2, worker_service_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from tests.api.support.fixtures import Tables
from tests.api.support.identities import (
    Metadata,
    authenticating,
    bearer,
    make_key,
    revoke_key,
)
from tests.api.support.refusal import Refusal, refused
from tests.api.support.refusal import refusal as refusal_of
from tests.support.issuer import Issuer
from tests.support.probe import eventually
from tests.support.stream_write import write

_POOL = descriptor_pool.Default()
_UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
_DENIED = (grpc.StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED")


@dataclass(frozen=True)
class Target:
    """A method on the port, and the roles of which its callers need one."""

    name: str
    descriptor: MethodDescriptor
    roles: tuple[str, ...]

    def request(self, **fields: Any) -> Message:
        """A request with these fields, as far as its message has them."""
        kind = GetMessageClass(self.descriptor.input_type)
        known = {n: v for n, v in fields.items() if n in self.descriptor.input_type.fields_by_name}
        made: Message = kind(**known)
        return made

    async def call(
        self, channel: aio.Channel, metadata: Metadata, request: Message | None = None
    ) -> Any:
        """Makes the call, and returns its first answer."""
        data = (self.request() if request is None else request).SerializeToString()
        decode = GetMessageClass(self.descriptor.output_type).FromString
        options: dict[str, Any] = {"metadata": metadata, "timeout": 20}
        if self.descriptor.client_streaming:
            call = channel.stream_stream(self.name, None, decode)(**options)
            await write(call, data)
            return await _first(call)
        if self.descriptor.server_streaming:
            return await _first(channel.unary_stream(self.name, None, decode)(data, **options))
        return await channel.unary_unary(self.name, None, decode)(data, **options)


async def _first(call: Any) -> Any:
    answer = await call.read()
    call.cancel()
    return answer


def _targets() -> dict[str, Target]:
    """All methods that are served, by the descriptors of their services."""
    assert {health_pb2, reflection_pb2, channelz_pb2}, "imported for their descriptors"
    roles = {method.full_name: method.roles for method in METHODS}
    found = {}
    for service in (*SERVICES, *OTHER_SERVICES):
        # The messages of reflection are the same in both versions but for their package.
        known = _POOL.FindServiceByName(service.replace("reflection.v1.", "reflection.v1alpha."))
        for method in known.methods:
            name = f"{service}/{method.name}"
            needed = OTHER_SERVICES[service] if service in OTHER_SERVICES else roles[name]
            found[name] = Target(f"/{name}", method, needed)
    return found


TARGETS = _targets()
GUARDED = {name: target for name, target in TARGETS.items() if target.roles}


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def settings(settings: Settings, tmp_path: Path, issuer: Issuer) -> Settings:
    return authenticating(settings, tmp_path, issuer)


@pytest.fixture
def admin(issuer: Issuer) -> Metadata:
    """Who may do everything."""
    return bearer(issuer.token("root", (ADMIN,)))


@pytest.fixture
async def job_id(channel: aio.Channel, admin: Metadata, issuer: Issuer) -> str:
    """A job of the service `owner`, in the queue `q`."""
    queue = queue_service_pb2.UpdateQueueRequest(
        queue=queue_service_pb2.Queue(name="q"), allow_missing=True
    )
    await QueueServiceStub(channel).UpdateQueue(queue, metadata=admin)
    request = pb.CreateJobRequest(spec=job_pb2.JobSpec(queue="q"))
    owner = bearer(issuer.token("owner", ("jobs.creator",)))
    job: str = (await JobServiceStub(channel).CreateJob(request, metadata=owner)).job.id
    return job


def unsigned(token: str, **header: str) -> str:
    """The token with another header and no signature."""
    _, body, _ = token.split(".")
    encoded = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    return f"{encoded}.{body}."


async def bad_credentials(dsn: str, issuer: Issuer) -> Mapping[str, Metadata]:
    """Credentials that prove nobody, though all that they lack is said in them."""
    every = tuple(ROLES)
    good = issuer.token("web", every)
    now = int(time.time())
    body = json.loads(base64.urlsafe_b64decode(good.split(".")[1] + "=="))
    changed = base64.urlsafe_b64encode(json.dumps(body | {"sub": "owner"}).encode())
    first, _, last = good.split(".")
    key, key_id = await make_key(dsn)
    await revoke_key(dsn, key_id)
    past, _ = await make_key(dsn, seconds=-1.0, number=2)
    return {
        "none": (),
        "empty": (("authorization", ""),),
        "no scheme": (("authorization", good),),
        "another scheme": (("authorization", f"Basic {good}"),),
        "twice": (*bearer(good), *bearer(good)),
        "malformed": bearer("x.y.z"),
        "garbage": bearer("~" * 300),
        "long": bearer("a" * 12_500),
        "expired": bearer(issuer.token("web", every, life=-31)),
        "without an end": bearer(issuer.token("web", every, exp=None)),
        "endless": bearer(issuer.token("web", every, exp=float("inf"))),
        "not yet valid": bearer(issuer.token("web", every, nbf=now + 60)),
        "wrong audience": bearer(issuer.token("web", every, aud="billing")),
        "no audience": bearer(issuer.token("web", every, aud=None)),
        "wrong issuer": bearer(issuer.token("web", every, iss="https://issuer.test/")),
        "no subject": bearer(issuer.token("web", every, sub=None)),
        "unknown key": bearer(Issuer().token("web", every)),
        "changed": bearer(f"{first}.{changed.rstrip(b'=').decode()}.{last}"),
        "unsigned": bearer(unsigned(good, alg="none", kid="x")),
        "unknown API key": bearer(f"jobsvc_{'0' * 12}_{'A' * 43}"),
        "wrong secret": bearer(f"{key[:-43]}{'A' * 43}"),
        "revoked": bearer(key),
        "expired API key": bearer(past),
    }


@pytest.mark.parametrize("name", GUARDED)
async def test_nobody_is_refused_by_every_method(
    channel: aio.Channel,
    dsn: str,
    issuer: Issuer,
    admin: Metadata,
    job_id: str,
    tables: Tables,
    name: str,
) -> None:
    target = GUARDED[name]
    credentials = await bad_credentials(dsn, issuer)
    before = await tables()
    request = target.request(job_id=job_id, job_ids=[job_id], name="q", queues=["q"])
    for kind, metadata in credentials.items():
        refusal = await refused(target.call(channel, metadata, request))
        reason = "CREDENTIALS_MISSING" if kind == "none" else "CREDENTIALS_INVALID"
        assert refusal.what == (_UNAUTHENTICATED, reason), kind
        assert job_id not in str(refusal)
    assert await tables() == before


@pytest.mark.parametrize("name", GUARDED)
async def test_caller_with_a_role_too_little_is_refused(
    channel: aio.Channel, issuer: Issuer, job_id: str, tables: Tables, name: str
) -> None:
    target = GUARDED[name]
    others = tuple(role for role in ROLES if role not in (*target.roles, ADMIN))
    before = await tables()
    for there in (job_id, "018f4e7a-0000-7000-8000-000000000000"):
        request = target.request(job_id=there, job_ids=[there], name="q", queues=["q"])
        metadata = bearer(issuer.token("owner", others))
        refusal = await refused(target.call(channel, metadata, request))
        assert refusal.what == _DENIED
        assert there not in str(refusal)
    assert await tables() == before


@pytest.mark.parametrize("name", GUARDED)
async def test_each_role_of_a_row_opens_the_method(
    channel: aio.Channel, issuer: Issuer, name: str
) -> None:
    # Most methods refuse the request for other reasons.
    request = GUARDED[name].request(view=job_pb2.JOB_VIEW_BASIC)
    if name == "jobsvc.v1.QueueService/UpdateQueue":
        request.queue.name = "q"  # type: ignore[attr-defined]
    for role in {*GUARDED[name].roles, ADMIN}:
        metadata = bearer(issuer.token("web", (role,)))
        outcome = await asyncio.gather(
            GUARDED[name].call(channel, metadata, request), return_exceptions=True
        )
        if isinstance(outcome[0], aio.AioRpcError):
            refusal = refusal_of(outcome[0])
            assert refusal.what != _DENIED, role
            assert refusal.code != _UNAUTHENTICATED, role


async def test_health_asks_nobody(channel: aio.Channel) -> None:
    open_to_all = {name for name, target in TARGETS.items() if not target.roles}
    assert open_to_all == {
        f"grpc.health.v1.Health/{name}" for name in ("Check", "List", "Watch")
    } & set(TARGETS)
    answer = await TARGETS["grpc.health.v1.Health/Check"].call(channel, ())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


#: Requests that name a queue too many, beside one that their caller may work on.
_TOO_MANY: Mapping[str, Message] = {
    "jobsvc.v1.WorkerService/Work": worker_service_pb2.WorkRequest(
        subscribe=worker_service_pb2.Subscribe(
            worker=worker_service_pb2.WorkerInfo(worker_id="w"),
            queues=[
                worker_service_pb2.QueueSubscription(queue=queue) for queue in ("q", "another")
            ],
            window=1,
        )
    ),
    "jobsvc.v1.WorkerService/LeaseJobs": worker_service_pb2.LeaseJobsRequest(
        worker=worker_service_pb2.WorkerInfo(worker_id="w"), queues=["q", "another"]
    ),
    "jobsvc.v1.QueueService/UpdateQueue": queue_service_pb2.UpdateQueueRequest(
        queue=queue_service_pb2.Queue(name="another"), allow_missing=True
    ),
}
#: They name leases, and leases belong to who holds them.
_BY_LEASE = {"jobsvc.v1.WorkerService/ExtendLeases", "jobsvc.v1.WorkerService/ReportOutcomes"}


def test_every_method_for_workers_is_described() -> None:
    for_workers = {name for name, target in TARGETS.items() if WORKER in target.roles}
    assert for_workers == _TOO_MANY.keys() | _BY_LEASE


@pytest.mark.parametrize("name", _TOO_MANY)
async def test_worker_with_a_queue_too_many_is_refused(
    channel: aio.Channel, dsn: str, issuer: Issuer, job_id: str, tables: Tables, name: str
) -> None:
    key, _ = await make_key(dsn, roles=[WORKER], queues=["q", "an", "another-*"])
    before = await tables()
    for metadata in (bearer(key), bearer(issuer.token("web", (WORKER,)))):
        refusal = await eventually(
            lambda metadata=metadata: refused(  # type: ignore[misc]
                TARGETS[name].call(channel, metadata, _TOO_MANY[name])
            ),
            lambda seen: seen.code != _UNAUTHENTICATED,  # The key is new.
        )
        assert refusal.what == _DENIED
        assert refusal.metadata["queue"] == "another"
    assert await tables() == before


def _by_job() -> dict[str, Target]:
    return {
        name: target
        for name, target in TARGETS.items()
        if {"job_id", "job_ids"} & set(target.descriptor.input_type.fields_by_name)
    }


@pytest.mark.parametrize("name", _by_job())
async def test_job_of_another_service_is_refused(
    channel: aio.Channel, issuer: Issuer, job_id: str, tables: Tables, name: str
) -> None:
    target = TARGETS[name]
    request = target.request(job_id=job_id, job_ids=[job_id])
    every = tuple(role for role in ROLES if role != ADMIN)
    if "update_mask" in target.descriptor.input_type.fields_by_name:
        request.spec.priority = 7  # type: ignore[attr-defined]
        request.update_mask.paths.append("priority")  # type: ignore[attr-defined]
    before = await tables()
    metadata = bearer(issuer.token("stranger", every))
    refusal = await refused(target.call(channel, metadata, request))
    assert refusal.what == (grpc.StatusCode.PERMISSION_DENIED, "JOB_NOT_OWNED")
    assert await tables() == before


async def test_lists_and_counts_have_the_jobs_of_the_own_service_only(
    channel: aio.Channel, issuer: Issuer, job_id: str, admin: Metadata
) -> None:
    async def seen(metadata: Metadata) -> tuple[list[str], int]:
        jobs = JobServiceStub(channel)
        found = (await jobs.ListJobs(pb.ListJobsRequest(), metadata=metadata)).jobs
        counted = await jobs.CountJobs(pb.CountJobsRequest(), metadata=metadata)
        return [job.id for job in found], counted.count

    assert await seen(bearer(issuer.token("owner", ("jobs.viewer",)))) == ([job_id], 1)
    assert await seen(bearer(issuer.token("stranger", ("jobs.viewer",)))) == ([], 0)
    assert await seen(admin) == ([job_id], 1)


async def test_a_thousand_calls_with_an_unknown_key_are_refused(
    server: Replica, channel: aio.Channel
) -> None:
    target, stranger = TARGETS["jobsvc.v1.JobService/GetJob"], Issuer()
    for number in range(1000):
        refusal: Refusal = await refused(
            target.call(channel, bearer(stranger.token(f"web-{number}", tuple(ROLES))))
        )
        assert refusal.what == (_UNAUTHENTICATED, "CREDENTIALS_INVALID")
