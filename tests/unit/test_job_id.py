"""Job ids."""

import time
from uuid import RFC_4122, UUID

from jobsvc.job import new_job_id


def test_job_id_is_a_uuid_of_version_7() -> None:
    for _ in range(1000):
        text = new_job_id()
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


def test_job_ids_do_not_repeat() -> None:
    assert len({new_job_id() for _ in range(10_000)}) == 10_000
