"""OpenTelemetry's own variables mean what its specification says; none of them holds us up."""

import socket
from collections.abc import Iterator
from uuid import UUID

import pytest

from jobsvc.extras import is_installed
from jobsvc.release import installed_release
from jobsvc.tracing.environment import complaint
from tests.tracing.support.collector import Collector, grpc_collector, http_collector
from tests.tracing.support.process import run

SENDS = """
import sys, time
from opentelemetry import metrics, trace
from jobsvc.tracing import start_tracing
counter = metrics.get_meter("t").create_counter("counted")
with start_tracing("tester", None, with_metrics=True, flush_seconds=0.5):
    counter.add(1)
    trace.get_tracer("t").start_span("spanned").end()
    begin = time.monotonic()
print("flushed in", time.monotonic() - begin)
"""


def collected(code: str = SENDS, variable: str = "ENDPOINT", **environment: str) -> Collector:
    """Runs `code` in a process, and returns what a collector received from it."""
    with grpc_collector() as (collector, endpoint):
        done = run(code, **{f"OTEL_EXPORTER_OTLP_{variable}": endpoint} | environment)
    assert done.returncode == 0, done.stderr
    collector.names.sort()
    return collector


def test_endpoint_alone_gets_spans_and_metrics_by_the_exit() -> None:
    assert collected().names == ["counted", "spanned"]


def test_endpoint_may_be_one_of_spans_or_of_metrics() -> None:
    assert collected(variable="METRICS_ENDPOINT").names == ["counted"]
    assert collected(variable="TRACES_ENDPOINT").names == ["spanned"]


@pytest.mark.parametrize(
    ("variables", "names"),
    [
        ({"OTEL_METRICS_EXPORTER": "none"}, ["spanned"]),
        ({"OTEL_TRACES_EXPORTER": "none"}, ["counted"]),
        ({"OTEL_TRACES_EXPORTER": "", "OTEL_METRICS_EXPORTER": "otlp"}, ["counted", "spanned"]),
        ({"OTEL_SDK_DISABLED": "True"}, []),
        ({"OTEL_TRACES_SAMPLER": "always_off"}, ["counted"]),
    ],
)
def test_exporters_and_sampler_are_those_named(variables: dict[str, str], names: list[str]) -> None:
    assert collected(**variables).names == names


def test_only_a_process_with_metrics_of_its_own_sends_metrics() -> None:
    code = SENDS.replace("with_metrics=True", "with_metrics=False")
    assert collected(code, OTEL_METRICS_EXPORTER="otlp").names == ["spanned"]


def test_named_exporter_needs_no_endpoint() -> None:
    done = run(SENDS, OTEL_TRACES_EXPORTER="console")
    assert '"name": "spanned"' in done.stdout, done.stderr


@pytest.mark.skipif(not is_installed("otlp-http"), reason="the extra otlp-http is not installed")
def test_protocol_may_be_http() -> None:
    with http_collector() as (collector, endpoint):
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        }
        done = run(SENDS, **variables)
    assert sorted(collector.names) == ["counted", "spanned"], done.stderr


def test_spans_and_metrics_are_of_one_instance() -> None:
    spans, metrics = collected().resources
    assert spans == metrics
    assert spans["service.name"] == "tester"
    assert UUID(spans["service.instance.id"]).version == 4
    assert spans["service.version"] == installed_release()


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        (
            {"OTEL_RESOURCE_ATTRIBUTES": "service.name=shop,service.instance.id=7,host.name=h"},
            {"service.name": "shop", "service.instance.id": "7", "host.name": "h"},
        ),
        (
            {"OTEL_RESOURCE_ATTRIBUTES": "service.name=shop", "OTEL_SERVICE_NAME": "jobs"},
            {"service.name": "jobs"},
        ),
    ],
)
def test_environment_describes_the_service(variables: dict[str, str], said: dict[str, str]) -> None:
    for resource in collected(**variables).resources:
        assert said.items() <= resource.items()


@pytest.mark.parametrize(
    ("variables", "is_traced"),
    [({"OTEL_TRACES_EXPORTER": "otlp"}, True), ({"OTEL_TRACES_EXPORTER": "none"}, False)],
)
def test_metrics_alone_make_no_spans(variables: dict[str, str], is_traced: bool) -> None:
    code = SENDS.replace("counter.add(1)", "from jobsvc import telemetry; counter.add(1)").replace(
        "begin =", "print(telemetry.is_traced()); begin ="
    )
    with grpc_collector() as (_, endpoint):
        done = run(code, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, **variables)
    assert done.stdout.splitlines()[0] == str(is_traced), done.stderr


def test_program_that_is_traced_already_reads_the_variables_itself() -> None:
    code = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
trace.set_tracer_provider(TracerProvider())
"""
    assert collected(code + SENDS).names == []


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("OTEL_TRACES_EXPORTER", "zipkin", "Requested component 'zipkin' not found"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "smtp", "Unsupported OTLP protocol 'smtp'"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon", "could not convert string to float: 'soon'"),
        # The import of the SDK fails.
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "few", "must be a non-negative integer"),
        # The SDK goes on, and logs a stack trace, or twice.
        ("OTEL_BSP_SCHEDULE_DELAY", "soon", "Unable to parse value"),
        ("OTEL_RESOURCE_ATTRIBUTES", "shop", "Invalid key value resource attribute pair"),
    ],
)
def test_bad_value_is_one_line_that_names_it(variable: str, value: str, said: str) -> None:
    with grpc_collector() as (_, endpoint):
        code = "import logging; logging.basicConfig(format='%(message)s')" + SENDS
        done = run(code, **{"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, variable: value})
    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert variable in line
    assert said in line


@pytest.mark.parametrize(
    ("text", "environment", "line"),
    [
        (
            "max_queue_size must be\n a positive integer.",
            {"OTEL_BSP_MAX_QUEUE_SIZE": "-1", "OTEL_SERVICE_NAME": "jobs", "HOME": "/"},
            "OTEL_BSP_MAX_QUEUE_SIZE: max_queue_size must be a positive integer.",
        ),
        (
            "OTEL_A_LIMIT must be an integer but got 1",
            {"OTEL_A_LIMIT": "1", "OTEL_B": "1"},
            "OTEL_A_LIMIT must be an integer but got 1",
        ),
        (
            "Invalid IPv6 URL",
            {"OTEL_A": "http://[::1", "OTEL_B": "IP", "OTEL_C": ""},
            "OTEL_A or OTEL_B: Invalid IPv6 URL",
        ),
        (
            "bad header: key=se=cret, x",
            {"OTEL_EXPORTER_OTLP_HEADERS": "a=b,key=se=cret, "},
            "OTEL_EXPORTER_OTLP_HEADERS: bad header: …, x",
        ),
        (
            "Requested component 'otlp_proto_http' not found",
            {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
            "the extra `otlp-http` is not installed: pip install 'jobsvc[otlp-http]'",
        ),
        ("Something", {}, "Something"),
    ],
)
def test_complaint_names_the_variables_it_may_be_about(
    text: str, environment: dict[str, str], line: str
) -> None:
    assert complaint(text, environment) == line


def test_command_waits_half_a_second_at_its_end() -> None:
    command = "import sys; from jobsvc.cli import main; sys.argv = ['jobsvc', 'get', 'x']; main()"
    with grpc_collector() as (_, other), socket.create_server(("127.0.0.1", 0)) as silent:
        # A server, but none of jobs: it answers at once.
        done = run(
            command,
            JOBSVC_TARGET=other.removeprefix("http://"),
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{silent.getsockname()[1]}",
        )
    assert "UNIMPLEMENTED" in done.stderr
    assert "not taken within 0.5 s" in done.stderr


@pytest.fixture(params=["away", "silent"])
def endpoint(request: pytest.FixtureRequest) -> Iterator[str]:
    """A collector that is not there, or accepts connections and says nothing."""
    with socket.socket() as collector:
        collector.bind(("127.0.0.1", 0))
        if request.param == "silent":
            collector.listen()
        yield f"http://127.0.0.1:{collector.getsockname()[1]}"


def test_collector_that_takes_nothing_holds_nothing_up(endpoint: str) -> None:
    code = SENDS + "import atexit; atexit.register(lambda: print(time.monotonic() - begin))"
    done = run(code, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
    assert "the last spans and metrics are lost: not taken within 0.5 s\n" in done.stderr
    assert "shutdown" not in done.stderr
    flushed, ended = [float(line.split()[-1]) for line in done.stdout.splitlines()]
    # Without the bound, 7 s or more for either of spans and metrics.
    assert flushed < 2
    assert ended < 2
