"""How long an ended job is kept."""

from typing import Any

import pytest
from msgspec.structs import replace

from jobsvc.domain.retention import keep_seconds
from jobsvc.settings import Settings
from tests.support.samples import leased_job

TERMS = leased_job(1).delivery.terms
SETTINGS = Settings()


@pytest.mark.parametrize(
    ("fields", "failed", "expected"),
    [
        ({}, False, SETTINGS.retention_seconds),
        ({}, True, SETTINGS.failed_retention_seconds),
        ({"retention_seconds": 99.0}, True, 99.0),
        ({"retention_seconds": 0.0}, False, 60.0),
    ],
)
def test_ended_job_is_kept_long_enough(
    fields: dict[str, Any], failed: bool, expected: float
) -> None:
    assert keep_seconds(replace(TERMS, **fields), failed, SETTINGS) == expected
