"""Page tokens of job lists."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.api.page_token import read_page_token, write_page_token
from jobsvc.domain.errors import PageTokenInvalid
from jobsvc.v1 import job_pb2
from jobsvc.v1.job_service_pb2 import JobFilter, ListJobsRequest

JOB_ID = "01a22edd-ac4f-799d-9b65-8ba28a02c9e5"
REQUEST = ListJobsRequest(filter=JobFilter(queues=["q"], labels={"a": "1", "b": "2"}), page_size=3)


@given(st.uuids())
def test_token_leads_to_the_place_it_was_made_for(job_id: object) -> None:
    token = write_page_token(REQUEST, str(job_id))
    assert read_page_token(REQUEST, token) == str(job_id)
    assert len(token) < 64


def test_token_is_good_for_a_page_of_another_size() -> None:
    token = write_page_token(REQUEST, JOB_ID)
    next_request = ListJobsRequest(filter=REQUEST.filter, page_size=7, page_token=token)
    assert read_page_token(next_request, token) == JOB_ID


@pytest.mark.parametrize(
    "other",
    [
        ListJobsRequest(page_size=3),
        ListJobsRequest(filter=JobFilter(queues=["q"], labels={"a": "1", "b": "3"})),
        ListJobsRequest(filter=REQUEST.filter, view=job_pb2.JOB_VIEW_FULL),
        ListJobsRequest(filter=REQUEST.filter, payload_encoding=2),  # type: ignore[arg-type]
    ],
)
def test_token_of_another_request_is_refused(other: ListJobsRequest) -> None:
    with pytest.raises(PageTokenInvalid, match="other fields"):
        read_page_token(other, write_page_token(REQUEST, JOB_ID))


@given(st.text(max_size=60))
def test_text_that_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(PageTokenInvalid, match="not made by this server"):
        read_page_token(REQUEST, text)


def test_damaged_token_is_refused() -> None:
    token = write_page_token(REQUEST, JOB_ID)
    for damaged in (token[:-1], token + "A", "B" + token[1:], f" {token}"):
        with pytest.raises(PageTokenInvalid):
            read_page_token(REQUEST, damaged)
