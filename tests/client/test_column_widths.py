"""The columns of the table of jobs, in terminals of any width."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.cli.column_widths import GAP, fit_columns, short_id
from tests.client.support.messages import JOB_ID

WANTED = {
    "job": 36,
    "queue": 13,
    "state": 10,
    "progress": 20,
    "try": 3,
    "took": 7,
    "remark": 16,
}


def used(widths: dict[str, int]) -> int:
    return sum(width + GAP for width in widths.values() if width)


@given(
    total=st.integers(29, 300), job=st.integers(1, 40), queue=st.integers(1, 63), took=st.just(7)
)
def test_state_tries_and_time_are_never_cut(total: int, job: int, queue: int, took: int) -> None:
    wanted = {**WANTED, "job": job, "queue": queue, "took": took}
    widths = fit_columns(wanted, total)
    assert (widths["state"], widths["try"], widths["took"]) == (10, 3, took)
    assert used(widths) <= total
    assert all(0 <= widths[name] <= wanted[name] for name in wanted)
    assert widths["job"] > 0


def test_nothing_shrinks_where_there_is_room() -> None:
    assert fit_columns(WANTED, used(WANTED)) == WANTED


@pytest.mark.parametrize(
    ("total", "changed"),
    [
        (115, {"progress": 16}),
        (104, {"progress": 8, "queue": 10}),
        (80, {"progress": 8, "queue": 10, "job": 13, "remark": 15}),
        (60, {"progress": 0, "queue": 10, "job": 13, "remark": 5}),
        (40, {"progress": 0, "queue": 0, "job": 12, "remark": 0}),
    ],
)
def test_bar_shrinks_first_then_queue_then_id(total: int, changed: dict[str, int]) -> None:
    assert fit_columns(WANTED, total) == WANTED | changed


def test_short_id_keeps_what_tells_ids_apart() -> None:
    assert short_id(JOB_ID, 36) == JOB_ID
    assert short_id(JOB_ID, 13) == "…" + JOB_ID[-12:]
    assert short_id("a site that is down", 10) == "a site th…"
