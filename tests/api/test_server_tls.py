"""TLS of the port: versions, client certificates, and files that change while streams are open."""

import asyncio
import socket
import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from cryptography.hazmat.primitives import serialization
from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from jobsvc.api.listen_address import bind
from jobsvc.api.server_tls import ServerTls
from jobsvc.api.waiting_server import waiting_server
from jobsvc.app import Replica, replica
from jobsvc.auth.dev_certs import Authority
from jobsvc.auth.watched_files import FileUnusable
from jobsvc.settings import Settings
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from tests.api.support.fixtures import Create
from tests.api.support.status_stream import follow, synced, update
from tests.support.certificates import Files, channel_credentials, files_in, spiffe
from tests.support.probe import eventually


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def files(tmp_path: Path, authority: Authority) -> Files:
    """Files of a server that `authority` has signed."""
    named = files_in(tmp_path)
    named.write(authority)
    return named


@pytest.fixture
def settings(settings: Settings, files: Files) -> Settings:
    return replace(settings, tls_cert=files.certificate, tls_key=files.key)


@pytest.fixture
def tls(settings: Settings) -> ServerTls:
    made = ServerTls.named(settings)
    assert made is not None
    return made


@pytest.fixture
async def server(dsn: str, settings: Settings, tls: ServerTls) -> AsyncIterator[Replica]:
    """A replica that speaks TLS, and looks at its files."""
    watch = asyncio.ensure_future(tls.files.run())
    async with replica(dsn, settings, tls) as running:
        yield running
    watch.cancel()
    with suppress(asyncio.CancelledError):
        await watch


@pytest.fixture
async def channel(server: Replica, authority: Authority) -> AsyncIterator[aio.Channel]:
    async with connected(server.port, channel_credentials(authority)) as opened:
        yield opened


def connected(port: int, credentials: grpc.ChannelCredentials) -> aio.Channel:
    """A channel with a connection of its own."""
    return aio.secure_channel(
        f"localhost:{port}",
        credentials,
        options=[("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)],
    )


async def is_serving(port: int, credentials: grpc.ChannelCredentials) -> bool:
    """Whether a new connection is taken, and health answers."""
    async with connected(port, credentials) as channel:
        try:
            stub = health_pb2_grpc.HealthStub(channel)
            answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=10)
        except aio.AioRpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


async def test_calls_are_served_over_tls_and_not_without(
    server: Replica, authority: Authority
) -> None:
    assert await is_serving(server.port, channel_credentials(authority))
    async with aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        with pytest.raises(aio.AioRpcError) as refused:
            await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert refused.value.code() == grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(
    ("version", "is_taken"),
    [
        (ssl.TLSVersion.TLSv1, False),
        (ssl.TLSVersion.TLSv1_1, False),
        (ssl.TLSVersion.TLSv1_2, True),
        (ssl.TLSVersion.TLSv1_3, True),
    ],
)
async def test_tls_before_1_2_is_refused(
    server: Replica, authority: Authority, version: ssl.TLSVersion, is_taken: bool
) -> None:
    context = ssl.create_default_context(cadata=authority.certificate.decode())
    context.set_ciphers("ALL:@SECLEVEL=0")  # OpenSSL itself offers no old version without it.
    context.set_alpn_protocols(["h2"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version

    def agreed() -> str | None:
        with (
            socket.create_connection(("127.0.0.1", server.port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as wrapped,
        ):
            return wrapped.version()

    if is_taken:
        assert await asyncio.to_thread(agreed) == version.name.replace("_", ".")
    else:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.to_thread(agreed)


async def test_renewed_certificate_is_shown_to_new_connections_and_streams_go_on(
    server: Replica, files: Files, authority: Authority, jobs: JobServiceStub, create: Create
) -> None:
    job = await create()
    stream = follow(jobs, job.id)
    await update(stream)
    await synced(stream)
    another = Authority()
    files.write(another)
    await eventually(lambda: is_serving(server.port, channel_credentials(another)))
    assert not await is_serving(server.port, channel_credentials(authority))
    # The stream lives on its old connection, and has missed nothing.
    await jobs.CancelJob(pb.CancelJobRequest(job_id=job.id))
    assert (await update(stream)).job_id == job.id


async def test_every_address_shows_the_renewed_certificate(
    tls: ServerTls, files: Files, authority: Authority
) -> None:
    servers = [aio.server(), aio.server()]  # As for IPv4 and IPv6, or a server and the next one.
    ports = []
    for serving in servers:
        servicer = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(servicer, serving)
        await servicer.set("", health_pb2.HealthCheckResponse.SERVING)
        ports.append(await bind(serving, "127.0.0.1:0", tls.credentials))
        await serving.start()
    for port in ports:
        assert await is_serving(port, channel_credentials(authority))
    another = Authority()
    files.write(another)
    tls.files.reload()
    for port in ports:
        assert await is_serving(port, channel_credentials(another))
        assert not await is_serving(port, channel_credentials(authority))
    for serving in servers:
        await serving.stop(None)


async def test_files_that_do_not_fit_each_other_change_nothing(
    server: Replica,
    files: Files,
    authority: Authority,
    tls: ServerTls,
    caplog: pytest.LogCaptureFixture,
) -> None:
    good = files.key.read_bytes()
    files.key.write_bytes(Authority().sign("another", [], is_server=True)[1])
    tls.files.reload()
    (line,) = [r.message for r in caplog.records if r.levelname == "ERROR"]
    assert line.startswith("certificate and key: as before, since JOBSVC_TLS_CERT ")
    assert good.decode() not in caplog.text
    assert await is_serving(server.port, channel_credentials(authority))


@pytest.mark.parametrize("defect", ["missing", "garbage", "another key", "encrypted"])
def test_files_of_no_use_stop_the_start(files: Files, defect: str) -> None:
    settings = Settings(tls_cert=files.certificate, tls_key=files.key)
    match defect:
        case "missing":
            files.key.unlink()
        case "garbage":
            files.certificate.write_text("no certificate")
        case "another key":
            files.key.write_bytes(Authority().sign("another", [], is_server=True)[1])
        case "encrypted":
            key = serialization.load_pem_private_key(files.key.read_bytes(), None)
            secret = serialization.BestAvailableEncryption(b"secret")
            form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
            files.key.write_bytes(key.private_bytes(*form, secret))
    with pytest.raises(FileUnusable, match="JOBSVC_TLS_KEY"):
        ServerTls.named(settings)


async def test_clients_need_a_certificate_of_the_authority(
    dsn: str, settings: Settings, files: Files, authority: Authority
) -> None:
    demanding = replace(settings, tls_client_ca=files.client_ca)
    tls = ServerTls.named(demanding)
    async with replica(dsn, demanding, tls) as running:
        port = running.port
        assert await is_serving(port, channel_credentials(authority, authority, spiffe("a")))
        assert not await is_serving(port, channel_credentials(authority))
        stranger = Authority()
        assert not await is_serving(port, channel_credentials(authority, stranger, spiffe("a")))


async def test_server_that_waits_for_its_database_speaks_tls_too(
    settings: Settings, tls: ServerTls, authority: Authority, unused_tcp_port: int
) -> None:
    waiting = replace(settings, listen=f"127.0.0.1:{unused_tcp_port}")
    async with (
        waiting_server(waiting, tls),
        connected(unused_tcp_port, channel_credentials(authority)) as channel,
    ):
        stub = health_pb2_grpc.HealthStub(channel)
        answer = await stub.Check(health_pb2.HealthCheckRequest(service="jobsvc.liveness"))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
