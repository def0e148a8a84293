"""Bulk operations as values: which jobs they touch, and how they stand after a batch."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.domain.bulk_operation import (
    BatchResult,
    BulkAction,
    BulkKind,
    BulkOperation,
    BulkRequest,
    BulkState,
    Skip,
    SkipReason,
    check_operation_owner,
    fitting,
    progress,
    touchable,
)
from jobsvc.domain.errors import BulkOperationNotOwned
from jobsvc.domain.job import JobState
from jobsvc.domain.job_control import ALLOWED, JobChange
from jobsvc.domain.job_filter import JobFilter
from jobsvc.domain.owner import Owner
from jobsvc.v1 import job_service_pb2 as pb

NOW = datetime(2026, 1, 1, tzinfo=UTC)
REQUEST = BulkRequest(JobFilter(), BulkAction(BulkKind.RETRY))


def operation(**changes: object) -> BulkOperation:
    fields: dict[str, object] = {
        "id": "0",
        "owner": Owner(),
        "request": REQUEST,
        "state": BulkState.RUNNING,
        "version": 1,
        "position": None,
        "done": 0,
        "skipped": {},
        "last_error": None,
        "create_time": NOW,
        "update_time": NOW,
        "next_time": NOW,
    }
    return BulkOperation(**(fields | changes))  # type: ignore[arg-type]  # of several types


def skip(reason: SkipReason = SkipReason.UNIQUE_KEY_TAKEN) -> Skip:
    return Skip("j", reason, "why")


def test_kinds_and_states_are_those_of_the_contract() -> None:
    actions = pb.BulkJobsRequest.DESCRIPTOR.oneofs_by_name["action"].fields
    assert [field.name for field in actions] == [kind.value for kind in BulkKind]
    assert {s.value: f"BULK_OPERATION_STATE_{s.name}" for s in BulkState} == {
        number: name for name, number in pb.BulkOperationState.items() if number
    }


def test_reasons_are_those_of_errors() -> None:
    page = Path(__file__).parents[2] / "docs/reference/errors.md"
    known = set(re.findall(r"^\| `(\w+)` \|", page.read_text(encoding="utf-8"), re.MULTILINE))
    assert {reason.value for reason in SkipReason} <= known


@pytest.mark.parametrize("kind", BulkKind)
def test_only_jobs_that_can_be_touched_are_looked_for(kind: BulkKind) -> None:
    wanted = touchable(BulkRequest(JobFilter(), BulkAction(kind)))
    assert wanted.states <= ALLOWED[kind.control]
    assert ALLOWED[kind.control] - wanted.states <= {JobState.CANCELLED}


@pytest.mark.parametrize(
    ("until", "expected"),
    [(None, NOW), (NOW + timedelta(1), NOW), (NOW - timedelta(1), NOW - timedelta(1))],
)
def test_jobs_that_are_created_later_are_left_out(
    until: datetime | None, expected: datetime
) -> None:
    request = BulkRequest(JobFilter(create_time_until=until), REQUEST.action)
    assert operation(request=request).wanted.create_time_until == expected


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.lists(st.sampled_from(list(SkipReason)), max_size=4)),
        max_size=8,
    ),
    st.integers(0, 12),
)
def test_what_is_counted_is_what_was_done(
    batches: list[tuple[int, list[SkipReason]]], most: int
) -> None:
    """Until there are no more jobs, or as many are touched as may be."""
    now = operation(request=msgspec.structs.replace(REQUEST, most=most))
    done, skipped = 0, list[SkipReason]()
    for number, (wanted, reasons_of_batch) in enumerate(batches, 1):
        touched = min(wanted, now.most_of_batch(5))
        done, skipped = done + touched, skipped + reasons_of_batch
        position = None if number == len(batches) else f"{number}"
        result = BatchResult(touched, [skip(r) for r in reasons_of_batch], position)
        after = progress(now, result)
        assert after.done == done
        assert after.skipped == {r.value: skipped.count(r) for r in set(skipped)}
        assert after.is_complete == (position is None or (most > 0 and done == most))
        if after.is_complete:
            return
        assert after.position == position
        now = msgspec.structs.replace(
            now, position=after.position, done=after.done, skipped=after.skipped
        )


def test_operation_that_waits_stays_where_it_is_and_says_why() -> None:
    stuck = skip(SkipReason.QUEUE_FULL)
    after = progress(operation(position="5"), BatchResult(0, [], None, stuck))
    assert (after.position, after.last_error, after.is_complete) == ("5", stuck, False)
    waiting = operation(position="5", last_error=stuck)
    assert progress(waiting, BatchResult(1, [], "4")).last_error is None


def test_last_skip_stays_in_sight() -> None:
    first = skip()
    after = progress(operation(), BatchResult(0, [first], "4"))
    assert after.last_error == first
    assert progress(operation(last_error=first), BatchResult(3, [], "2")).last_error == first


@given(
    st.lists(st.sampled_from("abc"), max_size=12),
    st.dictionaries(st.sampled_from("ab"), st.integers(0, 5)),
)
def test_jobs_fit_until_the_first_queue_is_full(queues: list[str], room: dict[str, int]) -> None:
    count = fitting(queues, room)
    assert all(queues[:count].count(name) <= left for name, left in room.items())
    if count < len(queues):
        name = queues[count]
        assert queues[: count + 1].count(name) > room[name]


@pytest.mark.parametrize(
    "action",
    [
        BulkAction(BulkKind.CANCEL, reason="why"),
        BulkAction(BulkKind.RETRY, extra_attempts=3),
        BulkAction(BulkKind.UPDATE, change=JobChange(frozenset({"labels"}), labels={"a": "b"})),
    ],
)
def test_action_survives_its_text(action: BulkAction) -> None:
    text = msgspec.json.encode(action)
    assert msgspec.json.decode(text, type=BulkAction) == action


def test_operation_belongs_to_its_caller_as_a_job() -> None:
    anns = operation(owner=Owner(user_id="ann", session_hash=b"s"))
    check_operation_owner(Owner(user_id="ann"), anns)
    check_operation_owner(Owner(session_hash=b"s"), anns)
    for other in (Owner(), Owner(user_id="bob"), Owner("web", "ann")):
        with pytest.raises(BulkOperationNotOwned):
            check_operation_owner(other, anns)
