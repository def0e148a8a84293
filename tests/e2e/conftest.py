"""A stage for each test: real servers, workers and databases, killed for real."""

from collections.abc import AsyncIterator

import pytest

from tests.e2e.stage import Stage, a_stage


@pytest.fixture
async def stage(dsn: str) -> AsyncIterator[Stage]:
    """Starts processes, and ends them all after the test."""
    async with a_stage(dsn) as opened:
        yield opened
