"""Replies, as a caller sees them."""

import json
from datetime import UTC, datetime

import msgspec
import pytest
from google.rpc import code_pb2

from jobsvc.client import JobState, JobStatus
from jobsvc.client.convert.job_replies import (
    read_batch,
    read_created,
    read_job,
    read_status,
    read_update,
)
from jobsvc.client.convert.queue_replies import read_declared, read_stats
from jobsvc.v1 import job_pb2, job_service_pb2, queue_service_pb2
from tests.client.support.messages import JOB_ID, job, status, update

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


class Result(msgspec.Struct):
    words: int


def test_everything_about_a_job_can_be_read() -> None:
    message = job(job_pb2.JOB_STATE_PROCESSING, 4)
    message.spec.input.json_text = '{"a":1}'
    message.spec.retry_policy.max_attempts = 5
    message.spec.attempt_timeout.FromSeconds(90)
    message.spec.labels["team"] = "x"
    message.owner.user_id = "42"
    message.create_time.FromDatetime(NOON)
    message.status.attempt = 2
    message.status.progress.percent = 0
    message.status.progress.message = "begun"
    message.status.error.code = code_pb2.UNAVAILABLE
    message.status.error.reason = "UPSTREAM_TIMEOUT"
    message.status.start_time.FromDatetime(NOON)
    attempt = message.status.recent_attempts.add(attempt=1, worker_id="w")
    attempt.error.code = code_pb2.INTERNAL

    read = read_job(message)
    assert (read.id, read.queue, read.state, read.input) == (
        JOB_ID,
        "news",
        JobState.PROCESSING,
        {"a": 1},
    )
    assert (read.max_attempts, read.attempt_timeout_seconds, read.retention_seconds) == (
        5,
        90,
        None,
    )
    assert (read.labels, read.user_id, read.create_time) == ({"team": "x"}, "42", NOON)
    assert (read.status.progress_percent, read.status.progress_message) == (0, "begun")
    assert read.status.error is not None
    assert (read.status.error.code, read.status.error.reason) == ("UNAVAILABLE", "UPSTREAM_TIMEOUT")
    assert read.status.start_time == NOON
    [first] = read.status.recent_attempts
    assert first.error is not None
    assert (first.attempt, first.error.code, first.end_time) == (1, "INTERNAL", None)
    assert not read.ended
    assert read.output is None


def test_a_result_is_read_as_objects_or_as_a_type() -> None:
    done = read_job(job(job_pb2.JOB_STATE_COMPLETED, 5, output='{"words":3}'))
    assert done.ended
    assert done.succeeded
    assert done.output == {"words": 3}
    assert done.output_as(Result) == Result(3)
    with pytest.raises(msgspec.ValidationError):
        done.output_as(list[int])


def test_no_result_is_no_type() -> None:
    with pytest.raises(msgspec.ValidationError):
        read_job(job()).output_as(Result)


def test_a_state_of_a_newer_server_has_ended_only_if_it_says_so() -> None:
    message = job_pb2.JobStatus(state=9, version=2)  # type: ignore[arg-type]
    assert read_status(message).state is JobState.UNKNOWN
    assert not read_status(message).ended
    message.end_time.FromDatetime(NOON)
    assert read_status(message).ended


def test_other_unknown_numbers_do_not_hurt() -> None:
    message = job_pb2.JobStatus(wait_reason=77)  # type: ignore[arg-type]
    message.error.code = 99  # type: ignore[assignment]
    read = read_status(message)
    assert read.error is not None
    assert (read.wait_reason, read.error.code) == ("", "99")


def test_a_wait_reason_is_a_word() -> None:
    message = job_pb2.JobStatus(wait_reason=job_pb2.WAIT_REASON_NO_WORKER)
    assert read_status(message).wait_reason == "NO_WORKER"


@pytest.mark.parametrize("name", job_pb2.JobState.keys())
def test_states_are_those_of_the_contract(name: str) -> None:
    read = read_status(job_pb2.JobStatus(state=job_pb2.JobState.Value(name))).state
    wanted = name.removeprefix("JOB_STATE_").replace("UNSPECIFIED", "UNKNOWN")
    assert (read, read.name, f"{read}") == (wanted, wanted, wanted)


def test_a_job_serialises_as_its_reader_expects() -> None:
    message = job(job_pb2.JOB_STATE_COMPLETED, 5, output='{"words":3}')
    message.spec.input.json_text = '{"a":[1]}'
    message.status.recent_attempts.add(attempt=1).start_time.FromDatetime(NOON)
    done = read_job(message)
    assert json.dumps([done.state, done.output]) == '["COMPLETED", {"words": 3}]'
    form = json.loads(json.dumps(done.as_dict()))
    assert (form["id"], form["input"], form["status"]["output"]) == (
        JOB_ID,
        {"a": [1]},
        {"words": 3},
    )
    assert form["status"]["state"] == "COMPLETED"
    [attempt] = form["status"]["recent_attempts"]
    assert attempt["start_time"] == NOON.isoformat()
    assert read_update(update(job_pb2.JOB_STATE_FAILED, 2).update).as_dict()["queue"] == "news"


def test_a_creation_says_whether_the_job_was_there() -> None:
    response = job_service_pb2.CreateJobResponse(job=job(), existing=True)
    created = read_created(response)
    assert (created.id, created.existing) == (JOB_ID, True)


def test_a_batch_is_read_as_each_of_its_replies() -> None:
    def reply(job_id: str, existing: bool = False, label: str = "x") -> bytes:
        message = job_service_pb2.CreateJobResponse(job=job(job_id=job_id), existing=existing)
        message.job.spec.labels["team"] = label
        message.job.create_time.FromDatetime(NOON)
        return message.SerializeToString()

    replies = [reply("a"), reply("b"), reply("c", True), reply("d"), reply("e", label="y")]
    parse = job_service_pb2.CreateJobResponse.FromString
    read = read_batch(map(parse, replies))
    assert read == [read_created(parse(each)) for each in replies]
    read[0].labels["team"] = "z"  # type: ignore[index]  # as nobody should
    assert read[1].labels == {"team": "x"}


def test_queues_and_their_counts() -> None:
    queue = queue_service_pb2.Queue(name="q", state=queue_service_pb2.QUEUE_STATE_PAUSED)
    queue.lease_duration.FromSeconds(30)
    queue.start_within.FromSeconds(20)
    warning = queue_service_pb2.QueueWarning(field="queue", reason="ODD", message="It is odd.")
    read = read_declared(queue_service_pb2.UpdateQueueResponse(queue=queue, warnings=[warning]))
    assert [(w.field, w.reason, w.message) for w in read.warnings] == [
        ("queue", "ODD", "It is odd.")
    ]
    assert (read.start_within_seconds, read.retention_seconds) == (20, None)
    assert (read.name, read.paused, read.lease_seconds, read.max_attempts) == ("q", True, 30, None)
    stats = read_stats(queue_service_pb2.QueueStats(queue="q", ready_count=3, worker_count=1))
    assert (stats.ready_count, stats.worker_count, stats.oldest_ready_seconds) == (3, 1, None)


def test_results_cannot_be_changed() -> None:
    read: JobStatus = read_status(status(job_pb2.JOB_STATE_PENDING, 1))
    with pytest.raises(AttributeError):
        read.version = 2  # type: ignore[misc]
