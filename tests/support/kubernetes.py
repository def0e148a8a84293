"""What deploy/kubernetes makes, as kustomize builds it."""

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "deploy/kubernetes"
OVERLAYS = sorted(path.name for path in (FOLDER / "overlays").iterdir())

Resource = dict[str, Any]
#: By kind and name, without the hash in the name of a config map.
Resources = dict[tuple[str, str], Resource]


def overlay(name: str) -> Resources:
    """The resources of an overlay."""
    return build(FOLDER / "overlays" / name)


def build(folder: Path) -> Resources:
    """The resources of a folder; skips the test where nothing can build them."""
    yaml = pytest.importorskip("yaml", reason="no reader of YAML: make setup")
    return {
        (each["kind"], re.sub("-[0-9a-z]{10}$", "", each["metadata"]["name"])): each
        for each in yaml.safe_load_all(_manifests(folder))
    }


@cache
def _manifests(folder: Path) -> str:
    """What kustomize prints; it takes a second each time."""
    for command in (["kustomize", "build"], ["kubectl", "kustomize"]):
        if shutil.which(command[0]):
            done = subprocess.run([*command, str(folder)], capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            assert not done.stderr, "a warning"
            return done.stdout
    pytest.skip("neither kustomize nor kubectl is there")


def pod(resources: Resources, deployment: str) -> tuple[Resource, Resource]:
    """The pod of a deployment, and its container."""
    found: Resource = resources["Deployment", deployment]["spec"]["template"]["spec"]
    (container,) = found["containers"]
    return found, container


def environment(container: Resource) -> dict[str, Any]:
    """The variables of a container; None for what a secret has."""
    return {entry["name"]: entry.get("value") for entry in container["env"]}
