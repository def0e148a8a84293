"""The trace context that goes with a call, and the span around it."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from jobsvc import telemetry
from jobsvc.client import JobNotFound, NewJob
from jobsvc.v1 import job_pb2, job_service_pb2, queue_service_pb2
from tests.client.support.messages import JOB_ID, job, update
from tests.client.support.peer import Failure, Peer


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """The spans that end from here on. OpenTelemetry lets a provider be set only once."""
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        provider = TracerProvider(shutdown_on_exit=False)
        trace.set_tracer_provider(provider)
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield exporter
    exporter.shutdown()


async def test_a_call_is_a_span_and_the_server_gets_it(
    client: Any, peer: Peer, spans: InMemorySpanExporter
) -> None:
    peer.answer("CreateJob", job_service_pb2.CreateJobResponse(job=job()))
    with trace.get_tracer("test").start_as_current_span("caller") as caller:
        await client.create("news")
    [span] = [each for each in spans.get_finished_spans() if each.name != "caller"]
    assert span.name == "jobsvc.v1.JobService/CreateJob"
    assert span.kind is trace.SpanKind.CLIENT
    assert span.parent is not None
    assert span.parent.span_id == caller.get_span_context().span_id
    assert span.attributes is not None
    assert span.attributes[telemetry.RPC_STATUS_CODE] == "OK"
    traceparent, _ = telemetry.headers(trace.NonRecordingSpan(span.get_span_context()))
    assert peer.calls[0].metadata["traceparent"] == traceparent


async def test_each_span_is_named_after_its_method(
    client: Any, peer: Peer, spans: InMemorySpanExporter
) -> None:
    one = job_service_pb2.CreateJobResponse(job=job())
    peer.answer("CreateJob", one)
    peer.answer("BatchCreateJobs", job_service_pb2.BatchCreateJobsResponse(responses=[one]))
    peer.answer("GetJob", job_service_pb2.GetJobResponse(job=job()))
    ended = job(job_pb2.JOB_STATE_COMPLETED)
    peer.answer("WaitJob", job_service_pb2.WaitJobResponse(job=ended))
    peer.answer("CancelJob", job_service_pb2.CancelJobResponse(job=job()))
    peer.answer("UpdateQueue", queue_service_pb2.UpdateQueueResponse())
    peer.answer("GetQueueStats", queue_service_pb2.GetQueueStatsResponse())
    await client.create("news")
    await client.create_many([NewJob("news")])
    await client.get(JOB_ID)
    await client.wait(JOB_ID)
    await client.cancel(JOB_ID)
    await client.declare_queue("news")
    await client.queue_stats()
    names = [span.name for span in spans.get_finished_spans()]
    assert names == [call.path for call in peer.calls]
    assert len(names) == 7


async def test_a_failed_call_is_a_failed_span(
    client: Any, peer: Peer, spans: InMemorySpanExporter
) -> None:
    peer.answer("GetJob", Failure(grpc.StatusCode.NOT_FOUND, reason="JOB_NOT_FOUND"))
    with pytest.raises(JobNotFound):
        await client.get(JOB_ID)
    [span] = spans.get_finished_spans()
    assert span.status.status_code is trace.StatusCode.ERROR
    assert span.attributes is not None
    assert span.attributes[telemetry.ERROR_TYPE] == "JOB_NOT_FOUND"


async def test_a_remote_context_is_passed_on(client: Any, peer: Peer) -> None:
    """Also by a process that traces nothing itself."""
    peer.answer("StreamJobStatus", [update(job_pb2.JOB_STATE_COMPLETED, 1)])
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    context = telemetry.parent(f"00-{trace_id}-b7ad6b7169203331-01", "vendor=1")
    with trace.use_span(trace.get_current_span(context)):
        assert [each async for each in client.follow([JOB_ID])]
    metadata = peer.calls[0].metadata
    assert trace_id in metadata["traceparent"]
    assert metadata["tracestate"] == "vendor=1"
