"""The synchronous client on a channel and a clock of grpcio-testing."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Queue
from typing import Any

import grpc
import grpc_testing
import pytest

from jobsvc.client import Client, JobUpdate, Unavailable
from jobsvc.v1 import job_pb2, job_service_pb2
from tests.client.support.messages import JOB_ID, job, update
from tests.client.support.peer import Failure

METHODS = job_service_pb2.DESCRIPTOR.services_by_name["JobService"].methods_by_name


class Stage:
    """A client in a thread, and the other end of its calls in the test."""

    def __init__(self, threads: ThreadPoolExecutor) -> None:
        self.channel = grpc_testing.channel(
            job_service_pb2.DESCRIPTOR.services_by_name.values(),
            grpc_testing.strict_real_time(),
        )
        self.clock = grpc_testing.strict_fake_time(1000.0)
        self.client = Client(
            channel=self.channel,
            session_id="s-1",
            clock=self.clock.time,
            sleep=self._sleep,
        )
        #: The pauses of the client, as they are made.
        self.pauses: Queue[float | None] = Queue()
        self._threads = threads

    def _sleep(self, seconds: float) -> None:
        self.clock.sleep_for(seconds)
        self.pauses.put(seconds)

    def run(self, method: Any, *args: Any, **options: Any) -> Future[Any]:
        return self._threads.submit(method, *args, **options)

    def take(self, method: str) -> Any:
        return self.channel.take_unary_unary(METHODS[method])

    def take_stream(self) -> Any:
        return self.channel.take_unary_stream(METHODS["StreamJobStatus"])


@pytest.fixture
def stage() -> Iterator[Stage]:
    with ThreadPoolExecutor(1) as threads:
        yield Stage(threads)


def refuse(rpc: Any, failure: Failure) -> None:
    rpc.terminate(None, failure.trailers(), failure.code, failure.message)


def test_a_creation(stage: Stage) -> None:
    created = stage.run(stage.client.create, "news", {"a": 1})
    metadata, request, rpc = stage.take("CreateJob")
    rpc.send_initial_metadata(())
    rpc.terminate(
        job_service_pb2.CreateJobResponse(job=job(), existing=True), (), grpc.StatusCode.OK, ""
    )
    assert created.result(10).existing
    assert request.spec.input.json_text == '{"a":1}'
    assert ("x-session-id", "s-1") in [tuple(each) for each in metadata]


def test_a_wait_is_bounded_by_the_clock(stage: Stage) -> None:
    waited = stage.run(stage.client.wait, JOB_ID, timeout=100)
    asked = []
    for seconds in (60, 40):
        _, request, rpc = stage.take("WaitJob")
        asked.append(request.timeout.seconds)
        stage.clock.sleep_for(seconds)
        answer = job_service_pb2.WaitJobResponse(job=job(job_pb2.JOB_STATE_PROCESSING, 2))
        rpc.terminate(answer, (), grpc.StatusCode.OK, "")
    assert not waited.result(10).ended
    assert asked == [60, 40]


def test_a_wait_goes_on_for_as_long_as_it_was_told(stage: Stage) -> None:
    waited = stage.run(stage.client.wait, JOB_ID, reconnect_seconds=30)
    waited.add_done_callback(lambda _: stage.pauses.put(None))
    _, _, rpc = stage.take("WaitJob")
    rpc.terminate(job_service_pb2.WaitJobResponse(job=job()), (), grpc.StatusCode.OK, "")
    away = Failure(grpc.StatusCode.UNAVAILABLE, reason="DATABASE_UNAVAILABLE")
    pauses = []
    while True:
        refuse(stage.take("WaitJob")[2], away)
        pause = stage.pauses.get(timeout=10)
        if pause is None:
            break
        pauses.append(pause)
    with pytest.raises(Unavailable, match="DATABASE_UNAVAILABLE"):
        waited.result(10)
    # Only the pauses move this clock. The last one may begin just before the end.
    assert 30 <= sum(pauses) <= 36
    assert max(pauses) <= 6


def test_a_stream_that_breaks(stage: Stage) -> None:
    followed = stage.run(list[JobUpdate], stage.client.follow([JOB_ID]))
    _, _, first = stage.take_stream()
    first.send_response(update(job_pb2.JOB_STATE_PROCESSING, 2))
    away = Failure(grpc.StatusCode.UNAVAILABLE, reason="SERVER_DRAINING")
    first.terminate(away.trailers(), away.code, away.message)
    _, request, second = stage.take_stream()
    second.send_response(update(job_pb2.JOB_STATE_PROCESSING, 2))
    second.send_response(update(job_pb2.JOB_STATE_COMPLETED, 3))
    assert [each.status.version for each in followed.result(10)] == [2, 3]
    assert list(request.job_ids) == [JOB_ID]
    assert stage.clock.time() > 1000.0
