"""Job ids."""

import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as some

from jobsvc.domain.job_id import first_job_id, new_job_id, new_job_ids


def test_job_id_is_a_uuid_of_version_7() -> None:
    for text in [new_job_id(), *new_job_ids(1000)]:
        job_id = UUID(text)
        assert str(job_id) == text, "in canonical form"
        assert job_id.version == 7
        assert job_id.variant == RFC_4122


def test_job_ids_sort_by_the_millisecond() -> None:
    ids, moments = [], []
    while len(moments) < 5:
        before = time.time_ns() // 1_000_000
        job_id = new_job_id()
        after = time.time_ns() // 1_000_000
        assert before <= UUID(job_id).int >> 80 <= after
        if before == after and before not in moments:
            moments.append(before)
            ids.append(job_id)
    assert ids == sorted(ids)


def test_ids_of_a_batch_sort_as_they_come() -> None:
    for _ in range(20):
        ids = new_job_ids(1000)
        assert ids == sorted(ids)
    assert len(new_job_ids(4096)) == 4096


def test_no_ids_are_made_where_none_are_asked_for() -> None:
    assert new_job_ids(0) == []


def test_job_ids_do_not_repeat() -> None:
    ids = [*(new_job_id() for _ in range(1000)), *new_job_ids(1000), *new_job_ids(1000)]
    assert len(set(ids)) == 3000


@given(some.integers(1, 4096), some.timedeltas(timedelta(0), timedelta(days=36500)))
def test_ids_have_a_time_an_order_an_empty_shard_and_random_bits(
    count: int, shift: timedelta
) -> None:
    ids = [UUID(text).int for text in new_job_ids(count, shift)]
    assert {job_id >> 48 & 0xFFFF for job_id in ids} == {0x8000}, "variant, and shard 0"
    assert len({job_id >> 76 for job_id in ids}) == 1, "one millisecond, version 7"
    steps = [job_id >> 64 & 0xFFF for job_id in ids]
    assert all(later == earlier + 1 for earlier, later in pairwise(steps))
    # Of 48 bits; that any two of 4,096 are equal has a chance of 1 in 30,000,000.
    assert len({job_id & (1 << 48) - 1 for job_id in ids}) == count


def test_every_random_bit_is_used() -> None:
    ids = [UUID(text).int for text in new_job_ids(1000)]
    for bit in range(48):
        ones = sum(job_id >> bit & 1 for job_id in ids)
        assert 300 < ones < 700, f"bit {bit}: twelve standard deviations"


def test_shifted_ids_are_of_the_shifted_time() -> None:
    now, tomorrow = new_job_ids(1)[0], new_job_ids(1, timedelta(days=1))[0]
    moment = datetime.now(UTC)
    assert now < first_job_id(moment, timedelta(hours=23)) < tomorrow
    assert tomorrow < first_job_id(moment, timedelta(hours=25))


def test_first_id_of_a_moment_sorts_between_those_made_before_and_after() -> None:
    before = new_job_id()
    millis = UUID(before).int >> 80
    moment = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=millis)
    assert first_job_id(moment) < before < first_job_id(moment, timedelta(milliseconds=1))
    assert UUID(first_job_id(moment)).int >> 80 == millis


@pytest.mark.parametrize("moment", [datetime.min, datetime.max])
def test_times_beyond_all_ids_have_a_first_id(moment: datetime) -> None:
    first = first_job_id(moment.replace(tzinfo=UTC))
    assert str(UUID(first)) == first
    assert (first < new_job_id()) is (moment is datetime.min)
