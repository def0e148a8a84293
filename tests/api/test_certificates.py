"""Callers whose certificates say who they are."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from grpc import aio

from jobsvc.api.gate import Gate, certificate_name
from jobsvc.api.server_tls import ServerTls
from jobsvc.app import Replica, replica
from jobsvc.auth.authenticator import Authenticator
from jobsvc.auth.dev_certs import Authority
from jobsvc.domain.access_policy import read_policy
from jobsvc.domain.errors import CredentialsInvalid
from jobsvc.domain.identity import ROLES
from jobsvc.settings import Settings
from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1 import queue_service_pb2 as queue_service
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from tests.api.support.identities import bearer, make_key
from tests.api.support.refusal import refused
from tests.support.certificates import channel_credentials, files_in, spiffe

Names = list[x509.GeneralName]

_POLICY = """
[[rules]]
identity = "spiffe://test/ns/*/web"
roles = ["jobs.creator", "jobs.viewer", "queues.admin"]
[[rules]]
identity = "dns:web.internal"
service = "spiffe://test/ns/prod/web"
roles = ["jobs.viewer"]
"""


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def settings(settings: Settings, tmp_path: Path, authority: Authority) -> Settings:
    files = files_in(tmp_path)
    files.write(authority)
    (tmp_path / "policy.toml").write_text(_POLICY)
    return replace(
        settings,
        tls_cert=files.certificate,
        tls_key=files.key,
        tls_client_ca=files.client_ca,
        policy=tmp_path / "policy.toml",
        accept_api_keys=True,
    )


@pytest.fixture
async def server(dsn: str, settings: Settings) -> AsyncIterator[Replica]:
    async with replica(dsn, settings, ServerTls.named(settings)) as running:
        yield running


@asynccontextmanager
async def caller(
    server: Replica, authority: Authority, names: Names, life: timedelta = timedelta(days=1)
) -> AsyncIterator[aio.Channel]:
    """A channel on which a certificate with these names is shown."""
    async with aio.secure_channel(
        f"localhost:{server.port}",
        channel_credentials(authority, authority, names, life),
        options=[("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)],
    ) as channel:
        yield channel


async def test_certificate_says_who_calls_and_whose_jobs_they_are(
    server: Replica, authority: Authority
) -> None:
    async with caller(server, authority, spiffe("ns/prod/web")) as web:
        await QueueServiceStub(web).UpdateQueue(
            queue_service.UpdateQueueRequest(
                queue=queue_service.Queue(name="q"), allow_missing=True
            )
        )
        request = pb.CreateJobRequest(spec=job_pb2.JobSpec(queue="q"))
        job = (await JobServiceStub(web).CreateJob(request)).job
    assert job.owner.service == "spiffe://test/ns/prod/web"
    get = pb.GetJobRequest(job_id=job.id, view=job_pb2.JOB_VIEW_BASIC)
    # The policy makes another name of it the same service.
    async with caller(server, authority, [x509.DNSName("web.internal")]) as alias:
        assert (await JobServiceStub(alias).GetJob(get)).job.id == job.id
        refusal = await refused(JobServiceStub(alias).GetJob(pb.GetJobRequest(job_id=job.id)))
        assert refusal.metadata["roles"] == "payloads.viewer"
    async with caller(server, authority, spiffe("ns/test/web")) as other:
        refusal = await refused(JobServiceStub(other).GetJob(get))
        assert refusal.what == (grpc.StatusCode.PERMISSION_DENIED, "JOB_NOT_OWNED")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_MISSING")),
        (
            [*spiffe("ns/a/web"), *spiffe("ns/b/web")],
            (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_MISSING"),
        ),
        (
            [x509.UniformResourceIdentifier("key:web")],
            (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_MISSING"),
        ),
        (spiffe("ns/a/x/web"), (grpc.StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED")),
        ([x509.DNSName("key:web")], (grpc.StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED")),
    ],
)
async def test_certificate_of_nobody_or_of_somebody_without_a_role(
    server: Replica, authority: Authority, names: Names, expected: tuple[grpc.StatusCode, str]
) -> None:
    async with caller(server, authority, names) as channel:
        refusal = await refused(JobServiceStub(channel).ListJobs(pb.ListJobsRequest()))
        assert refusal.what == expected


async def test_token_comes_before_the_certificate(
    dsn: str, settings: Settings, authority: Authority
) -> None:
    key, _ = await make_key(dsn, "web", roles=tuple(ROLES))
    async with (
        replica(dsn, settings, ServerTls.named(settings)) as server,
        caller(server, authority, spiffe("ns/prod/web")) as channel,
    ):
        jobs = JobServiceStub(channel)
        request = pb.ListJobsRequest(view=job_pb2.JOB_VIEW_FULL)
        await jobs.ListJobs(request, metadata=bearer(key))
        # One that is no good does not fall back on the certificate.
        refusal = await refused(jobs.ListJobs(pb.ListJobsRequest(), metadata=bearer(f"{key}x")))
        assert refusal.code == grpc.StatusCode.UNAUTHENTICATED


_INVALID = (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID")


async def test_stream_outlives_its_certificate_by_the_settings_time_at_most(
    dsn: str, settings: Settings, authority: Authority
) -> None:
    settings = replace(settings, stream_after_expiry_seconds=1.0)
    life = timedelta(seconds=10)
    async with (
        replica(dsn, settings, ServerTls.named(settings)) as server,
        caller(server, authority, spiffe("ns/prod/web")) as lasting,
        caller(server, authority, spiffe("ns/prod/web"), life) as short,
    ):
        signed = time.time()
        queue = queue_service.UpdateQueueRequest(
            queue=queue_service.Queue(name="q"), allow_missing=True
        )
        await QueueServiceStub(lasting).UpdateQueue(queue)
        watch = pb.WatchJobsRequest(filter=pb.JobFilter(queues=["q"]))
        # The same identity on both: each ends with its own certificate.
        streams = [JobServiceStub(channel).WatchJobs(watch) for channel in (lasting, short)]
        for stream in streams:
            await stream.read()
        assert (await refused(_read_all(streams[1]))).what == _INVALID
        assert time.time() - signed > life.total_seconds() - 1
        # The first one goes on.
        job = pb.CreateJobRequest(spec=job_pb2.JobSpec(queue="q"))
        created = (await JobServiceStub(lasting).CreateJob(job)).job
        async with asyncio.timeout(60):
            while created.id not in str(await streams[0].read()):
                pass
        streams[0].cancel()


async def _read_all(stream: Any) -> None:
    while await stream.read() is not aio.EOF:
        pass


class _Connected:
    """A call, as far as the gate looks at it, on a connection with a certificate."""

    def __init__(self, authority: Authority, life: timedelta) -> None:
        pem, _ = authority.sign("web", spiffe("ns/prod/web"), is_server=False, life=life)
        self._properties = {"peer_uri": [b"spiffe://test/ns/prod/web"], "x509_pem_cert": [pem]}

    def auth_context(self) -> dict[str, list[bytes]]:
        """As gRPC has it."""
        return self._properties


async def test_certificate_that_has_ended_opens_nothing_on_a_connection_that_lasts(
    authority: Authority,
) -> None:
    now = time.time()
    authenticator = Authenticator()
    authenticator.take_policy(read_policy(_POLICY))
    gate = Gate(authenticator, 60.0, lambda: now)
    short: Any = _Connected(authority, timedelta(seconds=100))
    long: Any = _Connected(authority, timedelta(seconds=200))
    # Clocks may differ by half a minute.
    now += 125
    assert (await gate.enter(["jobs.viewer"], short, ())).name == "spiffe://test/ns/prod/web"
    now += 10
    with pytest.raises(CredentialsInvalid):
        await gate.enter(["jobs.viewer"], short, ())
    # Known by the same name, with another certificate.
    await gate.enter(["jobs.viewer"], long, ())


@pytest.mark.parametrize(
    ("properties", "name"),
    [
        ({}, ""),
        ({"peer_uri": [b"spiffe://a/b"], "peer_dns": [b"c"]}, "spiffe://a/b"),
        ({"peer_uri": [b"https://a/b"], "peer_dns": [b"c"]}, ""),
        ({"peer_dns": [b"a", b"b"]}, "dns:a"),
        ({"peer_dns": [b"a b"]}, ""),
        ({"peer_dns": [b"\xff"]}, ""),
        ({"x509_common_name": [b"web"]}, ""),
    ],
)
def test_name_in_a_certificate(properties: dict[str, list[bytes]], name: str) -> None:
    assert certificate_name(properties) == name
