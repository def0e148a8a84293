"""A defect of ours that one outcome meets costs the others nothing.

A setting of a wrong type stands for all defects."""

from dataclasses import replace

import pytest

from jobsvc.settings import Settings
from jobsvc.v1 import job_pb2
from jobsvc.v1.worker_service_pb2 import JobOutcome, JobRelease
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import Create, Status
from tests.api.support.worker import OK, lease_all, report, success
from tests.support.settings import TEST_SETTINGS

_DEFECT = ("INTERNAL", "INTERNAL_ERROR")


def _odd_settings() -> Settings:
    """Settings with a number that is none; it is used when an output is read."""
    settings = replace(TEST_SETTINGS)
    object.__setattr__(settings, "max_payload_bytes", None)
    return settings


@pytest.mark.parametrize("settings", [_odd_settings()])
async def test_outcome_that_cannot_be_read_costs_no_other_its_answer(
    create: Create, workers: WorkerServiceStub, status: Status, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        await create()
    odd, other = await lease_all(workers)
    released = JobOutcome(lease_id=other.lease_id, release=JobRelease())
    assert await report(workers, success(odd, '{"a": 1}'), released) == [_DEFECT, OK]
    assert f"the outcome under lease {odd.lease_id} cannot be read" in caplog.text
    assert (await status(odd.job_id)).state == job_pb2.JOB_STATE_PROCESSING
