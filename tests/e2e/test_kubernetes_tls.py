"""The overlay with mutual TLS, run as processes: its variables, its policy, its probes."""

from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from grpc import StatusCode, aio

from jobsvc.auth.dev_certs import Authority
from jobsvc.client import AsyncClient
from jobsvc.v1 import externalscaler_pb2 as pb
from jobsvc.v1.externalscaler_pb2_grpc import ExternalScalerStub
from tests.e2e.support.stage import Stage
from tests.support.certificates import HOST, channel_credentials
from tests.support.kubernetes import FOLDER, environment, overlay, pod

pytestmark = pytest.mark.xdist_group("e2e")


def _names(name: str) -> list[x509.GeneralName]:
    return [x509.UniformResourceIdentifier(f"spiffe://jobsvc/{name}")]


def _write_secret(folder: Path, authority: Authority, certificate: bytes, key: bytes) -> Path:
    """The files of a secret that cert-manager writes."""
    folder.mkdir()
    (folder / "tls.crt").write_bytes(certificate)
    (folder / "tls.key").write_bytes(key)
    (folder / "ca.crt").write_bytes(authority.certificate)
    return folder


def _variables(container: dict[str, Any], **folders: Path) -> dict[str, str]:
    """Those of TLS and the policy, with the folders that are mounted in a container."""
    found = {}
    for name, value in environment(container).items():
        for mounted, folder in folders.items():
            if str(value).startswith(f"/{mounted}/"):
                found[name] = str(folder) + str(value).removeprefix(f"/{mounted}")
    return found


async def test_overlay_with_mutual_tls_works(stage: Stage, tmp_path: Path) -> None:
    resources = overlay("mutual-tls")
    authority = Authority()
    server_files, worker_files = (
        _write_secret(tmp_path / name, authority, *authority.sign(name, names, is_server=is_server))
        for name, names, is_server in (("server", HOST, True), ("worker", _names("worker"), False))
    )
    _, container = pod(resources, "jobsvc")
    policy = FOLDER / "overlays/mutual-tls"
    variables = _variables(container, tls=server_files, policy=policy)
    assert len(variables) == 4
    server = await stage.serve(environment={**variables, "JOBSVC_HTTP_LISTEN": "127.0.0.1:0"})
    _, container = pod(resources, "worker")
    target = f"localhost:{server.port}"
    worker_variables = _variables(container, tls=worker_files)
    assert len(worker_variables) == 3
    await stage.work(target, **worker_variables)

    caller = channel_credentials(authority, authority, _names("caller"))
    async with AsyncClient(target, credentials=caller) as client:
        job = await client.wait((await client.create("greet", {"name": "Ada"})).id)
        assert job.output["greeting"] == "Hello, Ada"
    keda = channel_credentials(authority, authority, _names("keda"))
    request = pb.ScaledObjectRef(scaler_metadata={"queue": "greet"})
    async with aio.secure_channel(target, keda) as channel:
        answer = await ExternalScalerStub(channel).IsActive(request)
        assert not answer.result
    stranger = channel_credentials(authority, authority, _names("stranger"))
    async with aio.secure_channel(target, stranger) as channel:
        with pytest.raises(aio.AioRpcError) as refused:
            await ExternalScalerStub(channel).IsActive(request)
        assert refused.value.code() is StatusCode.PERMISSION_DENIED

    (line,) = [line for line in (server.stdout + server.stderr).splitlines() if "http" in line]
    probes = {
        container[probe]["httpGet"]["path"]
        for container in (pod(resources, "jobsvc")[1],)
        for probe in ("readinessProbe", "livenessProbe", "startupProbe")
    }
    for path in probes:
        connection = HTTPConnection("127.0.0.1", int(line.rpartition(":")[2].split("/")[0]))
        connection.request("GET", path)
        assert connection.getresponse().status == 200
        connection.close()
