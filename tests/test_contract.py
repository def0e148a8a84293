"""The contract as other languages get it: Google's files beside ours, names for each language."""

from importlib.resources import files
from pathlib import Path

import pytest
from google.protobuf.descriptor import FieldDescriptor

from jobsvc.v1 import (
    externalscaler_pb2,
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
    paths = [path.relative_to(VENDORED) for path in (VENDORED / "google").rglob("*.proto")]

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


def test_service_of_the_autoscaler_is_what_its_client_calls() -> None:
    """As KEDA 2.21 has it: the methods, and of each field its number, type and name in JSON."""
    file = externalscaler_pb2.DESCRIPTOR

    assert file.package == "externalscaler"
    service = file.services_by_name["ExternalScaler"]
    assert [
        (m.name, m.input_type.name, m.output_type.name, m.server_streaming) for m in service.methods
    ] == [
        ("IsActive", "ScaledObjectRef", "IsActiveResponse", False),
        ("StreamIsActive", "ScaledObjectRef", "IsActiveResponse", True),
        ("GetMetricSpec", "ScaledObjectRef", "GetMetricSpecResponse", False),
        ("GetMetrics", "GetMetricsRequest", "GetMetricsResponse", False),
    ]
    fields = {
        name: [(f.json_name, f.number, f.type) for f in message.fields]
        for name, message in file.message_types_by_name.items()
    }
    text, whole, real, flag, message = (
        FieldDescriptor.TYPE_STRING,
        FieldDescriptor.TYPE_INT64,
        FieldDescriptor.TYPE_DOUBLE,
        FieldDescriptor.TYPE_BOOL,
        FieldDescriptor.TYPE_MESSAGE,
    )
    assert fields == {
        "ScaledObjectRef": [
            ("name", 1, text),
            ("namespace", 2, text),
            ("scalerMetadata", 3, message),
        ],
        "IsActiveResponse": [("result", 1, flag)],
        "GetMetricSpecResponse": [("metricSpecs", 1, message)],
        "MetricSpec": [
            ("metricName", 1, text),
            ("targetSize", 2, whole),
            ("targetSizeFloat", 3, real),
        ],
        "GetMetricsRequest": [("scaledObjectRef", 1, message), ("metricName", 2, text)],
        "GetMetricsResponse": [("metricValues", 1, message)],
        "MetricValue": [
            ("metricName", 1, text),
            ("metricValue", 2, whole),
            ("metricValueFloat", 3, real),
        ],
    }


def test_every_file_of_the_contract_is_tested() -> None:
    assert {Path(module.DESCRIPTOR.name) for module in MODULES} == {
        path.relative_to(PROTO) for path in (PROTO / "jobsvc").rglob("*.proto")
    }
