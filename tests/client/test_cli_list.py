"""`jobsvc list` against a peer on a real port."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from jobsvc.cli.job_list import age_text
from jobsvc.v1 import job_pb2
from jobsvc.v1.job_service_pb2 import CountJobsResponse, JobFilter, ListJobsResponse
from tests.client.support.command import Run
from tests.client.support.messages import JOB_ID, OTHER_ID, job
from tests.client.support.peer import Peer


def listed(*job_ids: str, token: str = "") -> ListJobsResponse:
    return ListJobsResponse(jobs=[job(job_id=i) for i in job_ids], next_page_token=token)


def test_jobs_are_a_table_that_fits_80_columns(peer: Peer, run: Run) -> None:
    page = listed(JOB_ID, OTHER_ID)
    page.jobs[1].spec.queue = "q" * 63
    page.jobs[1].status.state = job_pb2.JOB_STATE_PROCESSING
    page.jobs[1].create_time.FromDatetime(datetime.now(UTC) - timedelta(hours=3, minutes=1))
    peer.answer("ListJobs", page)
    result = run("list")
    head, first, second = result.stdout.splitlines()
    assert result.exit_code == 0
    assert head.split() == ["JOB", "QUEUE", "STATE", "AGE"]
    assert first.split() == [JOB_ID, "news", "PENDING"]
    assert second.split() == [OTHER_ID, "q" * 19 + "…", "PROCESSING", "3", "h"]
    assert max(map(len, (head, first, second))) <= 80


def test_no_jobs_are_no_lines(peer: Peer, run: Run) -> None:
    peer.answer("ListJobs", listed())
    result = run("list")
    assert (result.exit_code, result.stdout) == (0, "")


def test_json_has_a_line_for_each_job(peer: Peer, run: Run) -> None:
    peer.answer("ListJobs", listed(JOB_ID, OTHER_ID))
    lines = run("list", "--json").stdout.splitlines()
    assert [json.loads(line)["id"] for line in lines] == [JOB_ID, OTHER_ID]


def test_filter_is_spelled_as_in_the_contract(peer: Peer, run: Run) -> None:
    peer.answer("ListJobs", listed())
    result = run(
        *("list", "--queues", "a,b", "--queues", "c", "--states", "failed,JOB_STATE_CANCELLED"),
        *("--labels", "k=v", "--labels", "l=a=b", "--own-session", "--own-user"),
        *("--create-time-from", "2026-01-01T00:00Z", "--create-time-until", "2026-01-02T01:00+01"),
    )
    assert result.exit_code == 0, result.output
    [request] = peer.requests("ListJobs")
    wanted = JobFilter(
        queues=["a", "b", "c"],
        states=[job_pb2.JOB_STATE_FAILED, job_pb2.JOB_STATE_CANCELLED],
        labels={"k": "v", "l": "a=b"},
        own_session=True,
        own_user=True,
    )
    wanted.create_time_from.FromDatetime(datetime(2026, 1, 1, tzinfo=UTC))
    wanted.create_time_until.FromDatetime(datetime(2026, 1, 2, tzinfo=UTC))
    assert request.filter == wanted
    options = {name.replace("_", "-") for name in JobFilter.DESCRIPTOR.fields_by_name}
    help_text = run("list", "--help").stdout
    assert all(f"--{option}" in help_text for option in options)


def test_duration_is_so_long_ago(peer: Peer, run: Run) -> None:
    peer.answer("ListJobs", listed())
    before = datetime.now(UTC)
    assert run("list", "--create-time-from", "2h").exit_code == 0
    [request] = peer.requests("ListJobs")
    asked = request.filter.create_time_from.ToDatetime(tzinfo=UTC)
    assert before <= asked + timedelta(hours=2) <= datetime.now(UTC)


@pytest.mark.parametrize(
    "words", [("--states", "DONE"), ("--create-time-from", "soon"), ("--labels", "k")]
)
def test_wrong_condition_is_a_usage_error(peer: Peer, run: Run, words: tuple[str, ...]) -> None:
    assert run("list", *words).exit_code == 2
    assert peer.calls == []


def test_list_ends_at_its_limit(peer: Peer, run: Run) -> None:
    pages = [listed(JOB_ID, token="one"), listed(OTHER_ID, token="two")]
    peer.answer("ListJobs", *pages)
    assert len(run("list", "--limit", "2", "--json").stdout.splitlines()) == 2
    assert [request.page_size for request in peer.requests("ListJobs")] == [2, 2]


def test_all_pages_are_printed(peer: Peer, run: Run) -> None:
    peer.answer("ListJobs", *[listed(JOB_ID, token="more")] * 60, listed(OTHER_ID))
    assert len(run("list", "--all-pages", "--json").stdout.splitlines()) == 61
    assert peer.requests("ListJobs")[0].page_size == 1000


@pytest.mark.parametrize(
    ("count", "words", "text"),
    [
        (CountJobsResponse(count=7), (), "7"),
        (CountJobsResponse(count=70_000, is_estimate=True), (), "about 70000"),
        (CountJobsResponse(count=7), ("--json",), '{"count": 7, "is_estimate": false}'),
    ],
)
def test_jobs_are_counted(
    peer: Peer, run: Run, count: CountJobsResponse, words: tuple[str, ...], text: str
) -> None:
    peer.answer("CountJobs", count)
    assert run("list", "--count", "--queues", "q", *words).stdout == text + "\n"
    assert [request.filter.queues for request in peer.requests("CountJobs")] == [["q"]]


@pytest.mark.parametrize(
    ("age", "text"),
    [
        (timedelta(seconds=-1), "0 s"),
        (timedelta(seconds=59), "59 s"),
        (timedelta(minutes=59), "59 min"),
        (timedelta(hours=47), "1 d"),
    ],
)
def test_age_is_given_in_its_largest_unit(age: timedelta, text: str) -> None:
    assert age_text(age) == text
