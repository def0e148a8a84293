"""deploy/kubernetes and deploy/compose.yaml: valid by the schemas, and true to the server.

Nothing is applied to a cluster here.
"""

import importlib.util
import json
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from jobsvc.api.convert.scaling import read_rule
from jobsvc.settings import Settings
from jobsvc.testing import run_processor_async
from jobsvc.v1 import externalscaler_pb2 as pb
from tests.support.kubernetes import (
    FOLDER,
    OVERLAYS,
    Resource,
    Resources,
    build,
    environment,
    overlay,
)
from tests.support.kubernetes import pod as pod_of

yaml = pytest.importorskip("yaml", reason="no reader of YAML: make setup")
kubernetes_validate = pytest.importorskip("kubernetes_validate", reason="no schemas: make setup")

ROOT = Path(__file__).parents[1]
#: From the oldest version that the package has to the newest one of which all is known.
VERSIONS = ("1.30", "1.37")
#: Kinds whose schemas KEDA has, by the file of their definition.
KEDAS = {
    "ScaledObject": "keda.sh_scaledobjects.yaml",
    "TriggerAuthentication": "keda.sh_triggerauthentications.yaml",
}
#: What a server needs after its drain, and a worker after its grace.
AFTER_DRAIN_SECONDS, AFTER_GRACE_SECONDS = 15, 10
_KEDA = ROOT / "tests/api/support/keda"


@pytest.fixture(params=OVERLAYS)
def resources(request: pytest.FixtureRequest) -> Resources:
    """What an overlay makes."""
    return overlay(request.param)


def _containers(resources: Resources) -> Iterator[tuple[Resource, Resource]]:
    """Each pod and its container."""
    for (kind, _), resource in resources.items():
        if kind == "Deployment":
            pod = resource["spec"]["template"]["spec"]
            (container,) = pod["containers"]
            yield pod, container


def _grace_seconds(command: list[str]) -> float:
    return float(command[command.index("--grace") + 1])


@pytest.mark.parametrize("version", VERSIONS)
def test_resources_fit_the_schemas_of_kubernetes(resources: Resources, version: str) -> None:
    for (kind, _), resource in resources.items():
        if kind not in KEDAS:
            kubernetes_validate.validate(resource, version, strict=True)


def test_schemas_refuse_a_field_that_is_misspelt(
    resources: Resources,
) -> None:
    resource = resources["Deployment", "jobsvc"]
    resource["spec"]["template"]["spec"]["terminationGracePeriod"] = 45
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(resource, VERSIONS[0], strict=True)


@pytest.mark.parametrize("name", ["own-postgresql", "mutual-tls"])
def test_what_is_for_keda_fits_its_schemas(name: str) -> None:
    schemas = _schemas_of_keda()
    ours = {kind: one for (kind, _), one in overlay(name).items() if kind in KEDAS}
    assert ours.keys() == KEDAS.keys() - (
        {"TriggerAuthentication"} if name == "own-postgresql" else set()
    )
    for kind, resource in ours.items():
        validator = jsonschema_rs.validator_for(schemas[kind])
        assert [error.message for error in validator.iter_errors(resource)] == []
        resource["spec"]["triggered"] = "never"
        assert not validator.is_valid(resource)


def _schemas_of_keda() -> dict[str, Any]:
    """The schemas in KEDA's own definitions of resources, closed to unknown fields."""
    if shutil.which("go") is None:
        pytest.skip("there is no Go, by which KEDA's definitions come")
    done = subprocess.run(
        ["go", "mod", "download", "-json", "github.com/kedacore/keda/v2"],
        cwd=_KEDA,
        capture_output=True,
        text=True,
        timeout=240,
    )
    if done.returncode:
        pytest.skip(f"KEDA's Go module cannot be had: {done.stderr.strip()}")
    folder = Path(json.loads(done.stdout)["Dir"]) / "config/crd/bases"
    schemas = {}
    for kind, file in KEDAS.items():
        (version,) = yaml.safe_load((folder / file).read_text())["spec"]["versions"]
        schemas[kind] = _closed(version["schema"]["openAPIV3Schema"])
    return schemas


def _closed(schema: Any) -> Any:
    """A schema that refuses properties it does not name, as the server of Kubernetes drops them."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _closed(value) for key, value in schema.items()}
    named = found.get("properties")
    if found.get("type") == "object" and isinstance(named, dict):
        return {"additionalProperties": False} | found
    return found


def test_trigger_is_one_that_the_server_reads() -> None:
    built = overlay("own-postgresql")
    scaled = built["ScaledObject", "worker"]["spec"]
    (trigger,) = scaled["triggers"]
    rule = read_rule(pb.ScaledObjectRef(scaler_metadata=trigger["metadata"]))
    assert f'@processor("{rule.queue}")' in (FOLDER / "base/worker.py").read_text()
    assert trigger["metricType"] == "AverageValue"
    assert scaled["scaleTargetRef"]["name"] == "worker"
    assert "replicas" not in built["Deployment", "worker"]["spec"], "the autoscaler sets them"


async def test_worker_of_the_example_works() -> None:
    spec = importlib.util.spec_from_file_location("worker", FOLDER / "base/worker.py")
    assert spec is not None
    assert spec.loader is not None
    worker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(worker)
    outcome = await run_processor_async(worker.greet, {"name": "Ada", "seconds": 0})
    assert outcome.output == {"greeting": "Hello, Ada!"}


def test_address_of_the_scaler_follows_the_namespace(tmp_path: Path) -> None:
    copy = tmp_path / "base"
    shutil.copytree(FOLDER / "base", copy)
    page = copy / "kustomization.yaml"
    page.write_text(page.read_text().replace("namespace: jobsvc\n", "namespace: other\n"))
    (trigger,) = build(copy)["ScaledObject", "worker"]["spec"]["triggers"]
    assert trigger["metadata"]["scalerAddress"] == "jobsvc.other.svc:50051"


def test_pods_have_the_time_to_drain(resources: Resources) -> None:
    pod, server = pod_of(resources, "jobsvc")
    drain_seconds = float(environment(server)["JOBSVC_DRAIN_SECONDS"])
    assert pod["terminationGracePeriodSeconds"] > drain_seconds + AFTER_DRAIN_SECONDS
    pod, worker = pod_of(resources, "worker")
    grace_seconds = _grace_seconds(worker["args"])
    assert pod["terminationGracePeriodSeconds"] > grace_seconds + AFTER_GRACE_SECONDS


def test_probes_ask_the_health_that_each_is_for(
    resources: Resources,
) -> None:
    _, server = pod_of(resources, "jobsvc")
    ports = {port["name"]: port["containerPort"] for port in server["ports"]}
    liveness = ("livenessProbe", "startupProbe")
    if "JOBSVC_TLS_CERT" in environment(server):
        # A kubelet speaks no TLS with gRPC.
        assert environment(server)["JOBSVC_HTTP_LISTEN"] == f"0.0.0.0:{ports['http']}"
        assert server["readinessProbe"]["httpGet"] == {"port": "http", "path": "/readyz"}
        assert [server[probe]["httpGet"]["path"] for probe in liveness] == ["/livez", "/livez"]
        assert not [probe for probe in ("readinessProbe", *liveness) if "grpc" in server[probe]]
    else:
        port = ports["grpc"]
        assert server["readinessProbe"]["grpc"] == {"port": port}
        for probe in liveness:
            assert server[probe]["grpc"] == {"port": port, "service": "jobsvc.liveness"}
    _, worker = pod_of(resources, "worker")
    assert not [key for key in worker if key.endswith("Probe")], "a worker has no port"


def test_only_plain_text_is_insecure(resources: Resources) -> None:
    _, server = pod_of(resources, "jobsvc")
    assert ("--insecure" in server["args"]) == ("JOBSVC_TLS_CERT" not in environment(server))


def test_settings_are_those_of_the_server(resources: Resources) -> None:
    _, server = pod_of(resources, "jobsvc")
    variables = environment(server)
    read = {name: value or "postgresql://x" for name, value in variables.items()}
    Settings.read(read)
    known = {f"JOBSVC_{name.upper()}" for name in Settings.__dataclass_fields__}
    assert set(variables) - known <= {"JOBSVC_LOG_FORMAT"}


def test_pods_are_restricted(resources: Resources) -> None:
    """As the namespace demands, and a root file system that is read-only besides."""
    label = "pod-security.kubernetes.io/enforce"
    assert resources["Namespace", "jobsvc"]["metadata"]["labels"][label] == "restricted"
    for pod, container in _containers(resources):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }
        assert pod["automountServiceAccountToken"] is False


def test_selectors_find_their_pods(resources: Resources) -> None:
    pods = {
        name: resource["spec"]["template"]["metadata"]["labels"].items()
        for (kind, name), resource in resources.items()
        if kind == "Deployment"
    }
    assert pods.keys() == {"jobsvc", "worker"}
    selectors = {
        (kind, name): resource["spec"]["podSelector" if kind == "NetworkPolicy" else "selector"]
        for (kind, name), resource in resources.items()
        if kind in ("NetworkPolicy", "PodDisruptionBudget", "Service")
    }
    for (kind, name), selector in selectors.items():
        wanted = "worker" if name == "worker" else "jobsvc"
        labels = selector.get("matchLabels", selector).items()
        assert [pod for pod in pods if labels <= pods[pod]] == [wanted], (kind, name)


def test_volumes_are_there(resources: Resources) -> None:
    for pod, container in _containers(resources):
        names = {volume["name"] for volume in pod["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} == names
        for volume in pod["volumes"]:
            if claim := volume.get("persistentVolumeClaim"):
                assert ("PersistentVolumeClaim", claim["claimName"]) in resources
                assert pod["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"


def test_each_overlay_says_which_database_there_is() -> None:
    own = overlay("own-postgresql")
    trial = overlay("trial")
    assert "JOBSVC_DSN" in environment(pod_of(own, "jobsvc")[1])
    assert "JOBSVC_DSN" not in environment(pod_of(trial, "jobsvc")[1])
    server = trial["Deployment", "jobsvc"]["spec"]
    assert server["replicas"] == 1, "one server at a time may use the volume"
    assert server["strategy"] == {"type": "Recreate"}
    assert {kind for kind, _ in own} - {kind for kind, _ in trial} == {
        "ScaledObject",
        "PodDisruptionBudget",
    }


def test_image_is_that_of_this_release(resources: Resources) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for _, container in _containers(resources):
        assert container["image"].endswith(f"jobsvc:{version}")


def test_compose_file_starts_what_kubernetes_does() -> None:
    compose = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
    services = compose["services"]
    assert services.keys() == {"postgresql", "server", "worker"}
    server, worker = services["server"], services["worker"]
    grace = {
        name: float(services[name]["stop_grace_period"].rstrip("s"))
        for name in services
        if "stop_grace_period" in services[name]
    }
    drain_seconds = float(server["environment"]["JOBSVC_DRAIN_SECONDS"])
    assert grace["server"] > drain_seconds + AFTER_DRAIN_SECONDS
    assert grace["worker"] > _grace_seconds(worker["command"]) + AFTER_GRACE_SECONDS
    assert server["ports"] == ["127.0.0.1:50051:50051"], "plain text, so loopback only"
    Settings.read(server["environment"])
    (mount,) = worker["volumes"]
    assert (ROOT / "deploy" / mount.split(":")[0]).is_file()
    assert worker["environment"]["JOBSVC_TARGET"] == "server:50051"
    for service in services.values():
        assert service.get("depends_on", {}).keys() <= services.keys()
    assert (ROOT / "deploy" / server["build"]["context"] / "Dockerfile").resolve().is_file()
