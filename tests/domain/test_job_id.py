"""Job ids."""

import time
from datetime import UTC, datetime, timedelta
from uuid import RFC_4122, UUID

import pytest

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


def test_job_ids_do_not_repeat() -> None:
    ids = [*(new_job_id() for _ in range(1000)), *new_job_ids(1000), *new_job_ids(1000)]
    assert len(set(ids)) == 3000


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
