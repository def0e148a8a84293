"""The contract as other languages get it: Google's files beside ours, names for each language."""

from importlib.resources import files
from pathlib import Path

import pytest

from jobsvc.v1 import (
    job_pb2,
    job_service_pb2,
    payload_pb2,
    queue_service_pb2,
    worker_service_pb2,
)

PROTO = Path(__file__).parents[1] / "proto"
VENDORED = PROTO / "third_party"
MODULES = (job_pb2, job_service_pb2, payload_pb2, queue_service_pb2, worker_service_pb2)


def test_vendored_google_files_are_those_of_the_installed_package() -> None:
    paths = [path.relative_to(VENDORED) for path in VENDORED.rglob("*.proto")]

    assert paths
    for path in paths:
        installed = files(".".join(path.parent.parts)) / path.name
        assert (VENDORED / path).read_text() == installed.read_text(), path


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_each_file_has_names_for_languages_that_need_them(module: object) -> None:
    options = module.DESCRIPTOR.GetOptions()  # type: ignore[attr-defined]  # generated

    assert options.go_package == "jobsvc/v1;jobsvcv1"
    assert options.java_package == "jobsvc.v1"
    assert options.java_multiple_files
    assert options.csharp_namespace == "Jobsvc.V1"


def test_every_file_of_the_contract_is_tested() -> None:
    assert {Path(module.DESCRIPTOR.name) for module in MODULES} == {
        path.relative_to(PROTO) for path in (PROTO / "jobsvc").rglob("*.proto")
    }
