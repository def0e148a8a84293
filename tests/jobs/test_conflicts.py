"""Which requests of a call have a job already, by the holders of their unique keys."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from jobsvc.domain.created_job import Existing
from jobsvc.domain.errors import JobNotOwned, UniqueKeyTaken
from jobsvc.domain.job import Job, NewJob
from jobsvc.domain.job_request import JobRequest, RequestedOptions
from jobsvc.domain.owner import Owner
from jobsvc.domain.run_policy import RunPolicy
from jobsvc.jobs.conflicts import Key, SortedOut, rivals, sort_out
from tests.store.support.samples import new_job
from tests.support.samples import job

JOIN = RequestedOptions("q", 0, None, None, None, RunPolicy(), fail_if_taken=False, labels={})
FAIL = replace(JOIN, fail_if_taken=True)
HOLDER = job(Owner("web"))
ONE, TWO = "01a20804-e9ba-7c83-b2c8-3509c2b541a3", "01a20804-e9ba-7c83-b2c8-3509c2b541a4"


def request(key: str | None, options: RequestedOptions = JOIN, **fields: Any) -> JobRequest:
    return JobRequest(options, None, {}, unique_key=key, **fields)


def sorted_out(
    *requests: JobRequest, holders: Mapping[Key, Job] | None = None, jobs: Sequence[NewJob] = ()
) -> SortedOut:
    new_jobs = jobs or [new_job() for _ in requests]
    return sort_out(requests, new_jobs, holders or {}, Owner("web"))


def test_requests_without_a_held_key_are_written() -> None:
    got = sorted_out(request(None), request("a"), request("b"), request(None))
    assert got == SortedOut({}, {}, [0, 1, 2, 3])


def test_holder_of_a_key_is_returned() -> None:
    got = sorted_out(request("b"), request("a"), holders={("q", "a"): HOLDER})
    assert got == SortedOut({1: Existing(HOLDER)}, {}, [0])


def test_key_is_within_a_queue() -> None:
    other = replace(JOIN, queue="p")
    got = sorted_out(request("a", other), request("a"), holders={("x", "a"): HOLDER})
    assert got == SortedOut({}, {}, [0, 1])


def test_second_request_with_a_key_shares_the_job_of_the_first() -> None:
    got = sorted_out(request("a"), request("a"), request("a", request_id=ONE))
    assert got == SortedOut({}, {1: 0, 2: 0}, [0])
    # The first gets the holder, and the second the result of the first.
    got = sorted_out(request("a"), request("a"), holders={("q", "a"): HOLDER})
    assert got == SortedOut({0: Existing(HOLDER)}, {1: 0}, [])


def test_same_request_twice_in_a_call_is_left_to_its_request_id() -> None:
    got = sorted_out(request("a", request_id=ONE), request("a", request_id=ONE))
    assert got == SortedOut({}, {}, [0, 1])


def test_repeated_request_is_left_to_its_request_id_although_it_holds_the_key() -> None:
    holders = {("q", "a"): replace(HOLDER, request_id=ONE)}
    assert sorted_out(request("a", FAIL, request_id=ONE), holders=holders).to_write == [0]
    with pytest.raises(UniqueKeyTaken):
        sorted_out(request("a", FAIL, request_id=TWO), holders=holders)


def test_request_whose_key_another_job_holds_may_have_a_job_of_its_own() -> None:
    holders = {("q", "a"): replace(HOLDER, request_id=ONE)}
    requests = [
        request("a", FAIL, request_id=TWO),
        request("a", request_id=ONE),
        request("b", request_id=TWO),
        request(None, request_id=TWO),
    ]
    assert rivals(requests, holders) == {0: requests[0]}
    assert rivals([request("a")], holders) == {}
    # It does not join the holder then, nor keep the next one from doing so.
    new_jobs = [new_job() for _ in requests]
    got = sort_out([requests[0], request("a")], new_jobs, holders, Owner("web"), repeated={0})
    assert got == SortedOut({1: Existing(holders["q", "a"])}, {}, [])


def test_request_that_wants_to_fail_names_holder_and_index() -> None:
    with pytest.raises(UniqueKeyTaken) as by_a_job:
        sorted_out(request("a", FAIL, batch_index=3), holders={("q", "a"): HOLDER})
    assert by_a_job.value.metadata == {"jobId": HOLDER.id, "index": "3"}
    jobs = [new_job(), new_job()]
    with pytest.raises(UniqueKeyTaken) as within:
        sorted_out(request("a"), request("a", FAIL, batch_index=1), jobs=jobs)
    assert within.value.metadata == {"jobId": jobs[0].id, "index": "1"}


def test_holder_of_somebody_else_is_not_shown() -> None:
    foreign = replace(HOLDER, owner=Owner("web", "eve"))
    with pytest.raises(JobNotOwned) as error:
        sorted_out(request("a", batch_index=0), holders={("q", "a"): foreign})
    assert error.value.metadata["index"] == "0"


keys = st.none() | st.sampled_from("ab")
ids = st.none() | st.sampled_from([ONE, TWO])


@given(st.lists(st.tuples(keys, ids)), st.booleans())
def test_every_request_has_one_answer_and_no_key_is_written_by_two(
    asked: list[tuple[str | None, str | None]], taken: bool
) -> None:
    requests = [request(key, request_id=request_id) for key, request_id in asked]
    got = sorted_out(*requests, holders={("q", "a"): HOLDER} if taken else {})
    every = sorted([*got.existing, *got.same_key_as, *got.to_write])
    assert every == list(range(len(requests)))
    for index, first in got.same_key_as.items():
        assert first < index
        assert first not in got.same_key_as
        assert requests[first].unique_key == requests[index].unique_key
    written = [(requests[i].unique_key, requests[i].request_id) for i in got.to_write]
    named = {pair for pair in written if pair[0]}
    # Two with one key have one request id, so that the statement skips the second.
    assert len({key for key, _ in named}) == len(named)
