"""deploy/kubernetes and deploy/compose.yaml: valid by the schemas, and true to the server.

Nothing is applied to a cluster here.
"""

import importlib.util
import json
import re
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

yaml = pytest.importorskip("yaml", reason="no reader of YAML: make setup")
kubernetes_validate = pytest.importorskip("kubernetes_validate", reason="no schemas: make setup")

ROOT = Path(__file__).parents[1]
KUBERNETES = ROOT / "deploy/kubernetes"
OVERLAYS = sorted(path.name for path in (KUBERNETES / "overlays").iterdir())
#: From the oldest version that the package has to the newest one of which all is known.
VERSIONS = ("1.30", "1.37")
#: What a server needs after its drain, and a worker after its grace.
AFTER_DRAIN_SECONDS, AFTER_GRACE_SECONDS = 15, 10
_KEDA = ROOT / "tests/api/support/keda"

Resource = dict[str, Any]


@pytest.fixture(params=OVERLAYS)
def resources(request: pytest.FixtureRequest) -> dict[tuple[str, str], Resource]:
    """What an overlay makes, by kind and name, without the hash in the name of a config map."""
    return _built(KUBERNETES / "overlays" / request.param)


def _built(folder: Path) -> dict[tuple[str, str], Resource]:
    for command in (["kustomize", "build"], ["kubectl", "kustomize"]):
        if shutil.which(command[0]):
            done = subprocess.run([*command, str(folder)], capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            assert not done.stderr, "a warning"
            return {
                (each["kind"], re.sub("-[0-9a-z]{10}$", "", each["metadata"]["name"])): each
                for each in yaml.safe_load_all(done.stdout)
            }
    pytest.skip("neither kustomize nor kubectl is there")


def _containers(resources: dict[tuple[str, str], Resource]) -> Iterator[tuple[Resource, Resource]]:
    """Each pod and its container."""
    for (kind, _), resource in resources.items():
        if kind == "Deployment":
            pod = resource["spec"]["template"]["spec"]
            (container,) = pod["containers"]
            yield pod, container


def _pod(resources: dict[tuple[str, str], Resource], name: str) -> tuple[Resource, Resource]:
    pod: Resource = resources["Deployment", name]["spec"]["template"]["spec"]
    return pod, pod["containers"][0]


def _environment(container: Resource) -> dict[str, Any]:
    return {entry["name"]: entry.get("value") for entry in container["env"]}


def _grace_seconds(command: list[str]) -> float:
    return float(command[command.index("--grace") + 1])


@pytest.mark.parametrize("version", VERSIONS)
def test_resources_fit_the_schemas_of_kubernetes(
    resources: dict[tuple[str, str], Resource], version: str
) -> None:
    for (kind, _), resource in resources.items():
        if kind != "ScaledObject":
            kubernetes_validate.validate(resource, version, strict=True)


def test_schemas_refuse_a_field_that_is_misspelt(
    resources: dict[tuple[str, str], Resource],
) -> None:
    resource = resources["Deployment", "jobsvc"]
    resource["spec"]["template"]["spec"]["terminationGracePeriod"] = 45
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(resource, VERSIONS[0], strict=True)


def test_scaled_object_fits_the_schema_of_keda() -> None:
    schema = _schema_of_keda()
    scaled = _built(KUBERNETES / "overlays/own-postgresql")["ScaledObject", "worker"]
    validator = jsonschema_rs.validator_for(schema)
    assert [error.message for error in validator.iter_errors(scaled)] == []
    scaled["spec"]["maxReplicaCount"] = "many"
    assert not validator.is_valid(scaled)


def _schema_of_keda() -> Any:
    """The schema in KEDA's own definition of the resource, closed to unknown fields."""
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
    folder = Path(json.loads(done.stdout)["Dir"])
    text = (folder / "config/crd/bases/keda.sh_scaledobjects.yaml").read_text()
    (version,) = yaml.safe_load(text)["spec"]["versions"]
    return _closed(version["schema"]["openAPIV3Schema"])


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
    built = _built(KUBERNETES / "overlays/own-postgresql")
    scaled = built["ScaledObject", "worker"]["spec"]
    (trigger,) = scaled["triggers"]
    rule = read_rule(pb.ScaledObjectRef(scaler_metadata=trigger["metadata"]))
    assert f'@processor("{rule.queue}")' in (KUBERNETES / "base/worker.py").read_text()
    assert trigger["metricType"] == "AverageValue"
    assert scaled["scaleTargetRef"]["name"] == "worker"
    assert "replicas" not in built["Deployment", "worker"]["spec"], "the autoscaler sets them"


async def test_worker_of_the_example_works() -> None:
    spec = importlib.util.spec_from_file_location("worker", KUBERNETES / "base/worker.py")
    assert spec is not None
    assert spec.loader is not None
    worker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(worker)
    outcome = await run_processor_async(worker.greet, {"name": "Ada", "seconds": 0})
    assert outcome.output == {"greeting": "Hello, Ada!"}


def test_address_of_the_scaler_follows_the_namespace(tmp_path: Path) -> None:
    copy = tmp_path / "base"
    shutil.copytree(KUBERNETES / "base", copy)
    page = copy / "kustomization.yaml"
    page.write_text(page.read_text().replace("namespace: jobsvc\n", "namespace: other\n"))
    (trigger,) = _built(copy)["ScaledObject", "worker"]["spec"]["triggers"]
    assert trigger["metadata"]["scalerAddress"] == "jobsvc.other.svc:50051"


def test_pods_have_the_time_to_drain(resources: dict[tuple[str, str], Resource]) -> None:
    pod, server = _pod(resources, "jobsvc")
    drain_seconds = float(_environment(server)["JOBSVC_DRAIN_SECONDS"])
    assert pod["terminationGracePeriodSeconds"] > drain_seconds + AFTER_DRAIN_SECONDS
    pod, worker = _pod(resources, "worker")
    grace_seconds = _grace_seconds(worker["args"])
    assert pod["terminationGracePeriodSeconds"] > grace_seconds + AFTER_GRACE_SECONDS


def test_probes_ask_the_health_that_each_is_for(
    resources: dict[tuple[str, str], Resource],
) -> None:
    _, server = _pod(resources, "jobsvc")
    port = server["ports"][0]["containerPort"]
    assert server["readinessProbe"]["grpc"] == {"port": port}
    for probe in ("livenessProbe", "startupProbe"):
        assert server[probe]["grpc"] == {"port": port, "service": "jobsvc.liveness"}
    _, worker = _pod(resources, "worker")
    assert not [key for key in worker if key.endswith("Probe")], "a worker has no port"


def test_settings_are_those_of_the_server(resources: dict[tuple[str, str], Resource]) -> None:
    _, server = _pod(resources, "jobsvc")
    environment = _environment(server)
    read = {name: value or "postgresql://x" for name, value in environment.items()}
    Settings.read(read)
    known = {f"JOBSVC_{name.upper()}" for name in Settings.__dataclass_fields__}
    assert set(environment) - known <= {"JOBSVC_LOG_FORMAT"}


def test_pods_are_restricted(resources: dict[tuple[str, str], Resource]) -> None:
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


def test_selectors_find_their_pods(resources: dict[tuple[str, str], Resource]) -> None:
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


def test_volumes_are_there(resources: dict[tuple[str, str], Resource]) -> None:
    for pod, container in _containers(resources):
        names = {volume["name"] for volume in pod["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} == names
        for volume in pod["volumes"]:
            if claim := volume.get("persistentVolumeClaim"):
                assert ("PersistentVolumeClaim", claim["claimName"]) in resources
                assert pod["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"


def test_each_overlay_says_which_database_there_is() -> None:
    own = _built(KUBERNETES / "overlays/own-postgresql")
    trial = _built(KUBERNETES / "overlays/trial")
    assert "JOBSVC_DSN" in _environment(_pod(own, "jobsvc")[1])
    assert "JOBSVC_DSN" not in _environment(_pod(trial, "jobsvc")[1])
    server = trial["Deployment", "jobsvc"]["spec"]
    assert server["replicas"] == 1, "one server at a time may use the volume"
    assert server["strategy"] == {"type": "Recreate"}
    assert {kind for kind, _ in own} - {kind for kind, _ in trial} == {
        "ScaledObject",
        "PodDisruptionBudget",
    }


def test_image_is_that_of_this_release(resources: dict[tuple[str, str], Resource]) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for _, container in _containers(resources):
        name = container["image"].rpartition("/")[2]
        assert name in (f"jobsvc:{version}", f"jobsvc-trial:{version}")


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
