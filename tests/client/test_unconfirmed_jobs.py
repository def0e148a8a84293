"""What a stream of creations sends next, and whose result it has."""

from concurrent.futures import Future
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import status_pb2

from jobsvc.client.errors import CallFailed, Unavailable
from jobsvc.client.unconfirmed_jobs import StreamBroken, Unconfirmed, UnconfirmedJobs
from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb


@pytest.fixture
def jobs() -> UnconfirmedJobs[Future[Any]]:
    return UnconfirmedJobs(Future)


def _job(follow: bool = False, text: str = "") -> pb.SubmitJob:
    job = pb.SubmitJob(follow=follow)
    job.request.spec.input.json_text = text
    return job


def _tags(request: pb.SubmitRequest | None) -> list[int]:
    return [] if request is None else [job.tag for job in request.jobs]


def _created(
    unconfirmed: Unconfirmed[Any], job_id: str, existing: bool = False
) -> pb.SubmitResponse:
    created = pb.CreateJobResponse(job=job_pb2.Job(id=job_id), existing=existing)
    return pb.SubmitResponse(results=[{"tag": unconfirmed.job.tag, "created": created}])


def _update(job_id: str, ended: bool) -> pb.SubmitResponse:
    status = job_pb2.JobStatus(end_time=Timestamp(seconds=1) if ended else None)
    return pb.SubmitResponse(updates=[pb.JobUpdate(job_id=job_id, status=status)])


def test_requests_are_bounded_in_jobs_and_bytes(jobs: UnconfirmedJobs[Future[Any]]) -> None:
    for _ in range(1500):
        jobs.add(_job())
    for _ in range(3):
        jobs.add(_job(text="x" * 600_000))
    requests = [_tags(jobs.next_request()) for _ in range(5)]
    assert [len(tags) for tags in requests] == [1000, 501, 1, 1, 0]
    assert [tag for tags in requests for tag in tags] == list(range(1, 1504))


def test_bytes_of_a_request_are_those_of_all_that_is_in_it(
    jobs: UnconfirmedJobs[Future[Any]],
) -> None:
    for text, labels in ((150_000 * "\U0001f600", {}), ("", {"a": 600_000 * "x"})) * 2:
        job = _job(text=text)
        job.request.spec.labels.update(labels)
        jobs.add(job)
    assert [len(_tags(jobs.next_request())) for _ in range(5)] == [1, 1, 1, 1, 0]


def test_job_that_nobody_waits_for_is_not_sent(jobs: UnconfirmedJobs[Future[Any]]) -> None:
    given_up, kept = jobs.add(_job()), jobs.add(_job())
    given_up.created.cancel()
    assert _tags(jobs.next_request()) == [kept.job.tag]
    jobs.accept(_created(kept, "k"))
    assert jobs.is_empty


def test_followed_job_has_its_result_and_then_its_end(jobs: UnconfirmedJobs[Future[Any]]) -> None:
    followed = jobs.add(_job(follow=True))
    assert followed.ended is not None
    jobs.accept(_created(followed, "j"))
    assert followed.created.result(0).job.id == "j"
    jobs.accept(_update("j", ended=False))
    assert not followed.ended.done()
    assert jobs.is_following
    jobs.accept(_update("j", ended=True))
    assert followed.ended.result(0).job_id == "j"
    assert jobs.is_empty


def test_job_that_nobody_follows_any_more_is_left_alone_once(
    jobs: UnconfirmedJobs[Future[Any]],
) -> None:
    followed = jobs.add(_job(follow=True))
    jobs.next_request()
    jobs.accept(_created(followed, "j"))
    jobs.unfollow("j")
    jobs.unfollow("j")
    request = jobs.next_request()
    assert request is not None
    assert list(request.unfollow_job_ids) == ["j"]
    assert jobs.next_request() is None
    assert jobs.is_empty


def test_job_that_nobody_waits_for_is_left_alone_when_its_result_comes(
    jobs: UnconfirmedJobs[Future[Any]],
) -> None:
    given_up = jobs.add(_job(follow=True))
    jobs.next_request()
    given_up.created.cancel()
    jobs.accept(_created(given_up, "j"))
    request = jobs.next_request()
    assert request is not None
    assert list(request.unfollow_job_ids) == ["j"]
    assert jobs.is_empty


def test_job_that_is_given_up_after_its_result_is_left_alone(
    jobs: UnconfirmedJobs[Future[Any]],
) -> None:
    given_up = jobs.add(_job(follow=True))
    jobs.next_request()
    jobs.accept(_created(given_up, "j"))
    jobs.give_up(given_up)  # It was about to hear of it.
    request = jobs.next_request()
    assert request is not None
    assert list(request.unfollow_job_ids) == ["j"]
    assert jobs.is_empty


@pytest.mark.parametrize("first_result_first", [True, False])
def test_job_that_is_found_by_another_creation_is_followed_by_its_own(
    jobs: UnconfirmedJobs[Future[Any]], first_result_first: bool
) -> None:
    first, second = jobs.add(_job(follow=True)), jobs.add(_job(follow=True))
    jobs.next_request()
    results = [_created(first, "j"), _created(second, "j", existing=True)]
    for result in results if first_result_first else reversed(results):
        jobs.accept(result)
    assert jobs.next_request() is None, "it is not left alone"
    jobs.accept(_update("j", ended=True))
    assert first.ended is not None
    assert first.ended.result(0).job_id == "j"
    assert jobs.is_empty


def test_error_is_that_of_its_job(jobs: UnconfirmedJobs[Future[Any]]) -> None:
    bad, good = jobs.add(_job()), jobs.add(_job())
    error = status_pb2.Status(code=5, message="no such queue")
    jobs.accept(pb.SubmitResponse(results=[{"tag": bad.job.tag, "error": error}]))
    assert isinstance(bad.created.exception(0), CallFailed)
    assert not good.created.done()


def test_broken_stream_ends_all_that_is_under_way(jobs: UnconfirmedJobs[Future[Any]]) -> None:
    followed, other = jobs.add(_job(follow=True)), jobs.add(_job())
    jobs.accept(_created(followed, "j"))
    jobs.fail(Unavailable("UNAVAILABLE", "gone"))
    assert isinstance(other.created.exception(0), StreamBroken)
    assert followed.ended is not None
    assert isinstance(followed.ended.exception(0), StreamBroken)
    assert followed.created.result(0).job.id == "j"
    assert jobs.next_request() is None
