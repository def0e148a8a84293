"""A stage for each test: real servers, workers and databases, killed for real."""

from collections.abc import AsyncIterator

import pytest

from tests.e2e.support.stage import Stage, a_stage
from tests.e2e.support.tables import fetch


@pytest.fixture
async def stage(dsn: str) -> AsyncIterator[Stage]:
    """Starts processes, and ends them all after the test."""
    async with a_stage(dsn) as opened:
        yield opened


@pytest.fixture
async def empty_dsn(postgres: str) -> AsyncIterator[str]:
    """The DSN of a database with nothing in it."""
    await fetch(postgres, "CREATE DATABASE empty")
    yield postgres.replace("/jobsvc?", "/empty?")
    await fetch(postgres, "DROP DATABASE empty WITH (FORCE)")
