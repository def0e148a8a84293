"""Names in spans and metrics are an interface: dashboards and alerts depend on them."""

import pytest
from opentelemetry.semconv._incubating.attributes import messaging_attributes, rpc_attributes
from opentelemetry.semconv._incubating.metrics import process_metrics, rpc_metrics
from opentelemetry.semconv.attributes import error_attributes

from jobsvc import telemetry
from jobsvc.telemetry import catalogue


def test_names_of_attributes_stay() -> None:
    assert telemetry.JOB_ATTEMPT == "jobsvc.job.attempt"
    assert telemetry.JOB_STATE == "jobsvc.job.state"
    assert telemetry.WORKER_ID == "jobsvc.worker.id"


@pytest.mark.parametrize(
    ("name", "convention"),
    [
        (telemetry.SYSTEM, messaging_attributes.MESSAGING_SYSTEM),
        (telemetry.DESTINATION, messaging_attributes.MESSAGING_DESTINATION_NAME),
        (telemetry.OPERATION_NAME, messaging_attributes.MESSAGING_OPERATION_NAME),
        (telemetry.OPERATION_TYPE, messaging_attributes.MESSAGING_OPERATION_TYPE),
        (telemetry.MESSAGE_ID, messaging_attributes.MESSAGING_MESSAGE_ID),
        (telemetry.RPC_SYSTEM, rpc_attributes.RPC_SYSTEM_NAME),
        (telemetry.RPC_METHOD, rpc_attributes.RPC_METHOD),
        (telemetry.RPC_STATUS_CODE, rpc_attributes.RPC_RESPONSE_STATUS_CODE),
        (telemetry.ERROR_TYPE, error_attributes.ERROR_TYPE),
    ],
)
def test_names_are_those_of_the_semantic_conventions(name: str, convention: str) -> None:
    assert name == convention


@pytest.mark.parametrize("operation", ["send", "process", "settle"])
def test_operations_are_those_of_the_semantic_conventions(operation: str) -> None:
    attributes = telemetry.messaging_attributes(operation, "q", "job-1")
    messaging_attributes.MessagingOperationTypeValues(attributes[telemetry.OPERATION_TYPE])


@pytest.mark.parametrize(
    ("instrument", "convention"),
    [
        (catalogue.RPC_DURATION, rpc_metrics.RPC_SERVER_CALL_DURATION),
        (catalogue.PROCESS_CPU_TIME, process_metrics.PROCESS_CPU_TIME),
        (catalogue.PROCESS_MEMORY, process_metrics.PROCESS_MEMORY_USAGE),
        (catalogue.PROCESS_FILES, process_metrics.PROCESS_UNIX_FILE_DESCRIPTOR_COUNT),
        (catalogue.PROCESS_UPTIME, process_metrics.PROCESS_UPTIME),
    ],
)
def test_metrics_are_those_of_the_semantic_conventions(
    instrument: catalogue.Instrument, convention: str
) -> None:
    assert instrument.name == convention


def test_calls_have_the_attributes_of_their_spans() -> None:
    names = (telemetry.RPC_SYSTEM, telemetry.RPC_METHOD, telemetry.RPC_STATUS_CODE)
    assert catalogue.RPC_DURATION.attributes == names
