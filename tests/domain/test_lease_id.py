"""Lease ids as texts."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.domain.lease import LeaseId
from tests.support.samples import JOB_ID


@given(st.uuids(), st.integers(-(2**63), 2**63 - 1))
def test_every_lease_id_survives_its_text(job_id: UUID, number: int) -> None:
    lease_id = LeaseId.of(job_id, number)
    assert LeaseId.parse(str(lease_id)) == lease_id
    assert (lease_id.job_id, lease_id.number) == (str(job_id), number)


@given(st.text() | st.text("0123456789abcdef-.", max_size=60))
def test_any_text_is_a_lease_id_or_none(text: str) -> None:
    lease_id = LeaseId.parse(text)
    assert lease_id is None or str(lease_id) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        str(JOB_ID),
        f"{JOB_ID}.",
        f"{JOB_ID}.x",
        f"{JOB_ID}.-",
        f"{JOB_ID}.-0",
        f"{JOB_ID}.+1",
        f"{JOB_ID}.--1",
        f"{JOB_ID}.01",
        f"{JOB_ID}.-01",
        f"{JOB_ID}.1.1",
        f"{JOB_ID}.1 ",
        f"{JOB_ID}.\u0661",
        f"{JOB_ID}.{2**63}",
        f"{JOB_ID}.{-(2**63) - 1}",
        f"{JOB_ID}." + "9" * 99,
        f"{JOB_ID}".upper() + ".1",
        "{" + f"{JOB_ID}"[1:-1] + "}.1",
        f"{JOB_ID}".replace("-", "x") + ".1",
        "\0" * 36 + ".1",
    ],
)
def test_text_of_no_server_is_none(text: str) -> None:
    assert LeaseId.parse(text) is None
