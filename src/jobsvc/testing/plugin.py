"""The pytest plugin: fixtures with a real server. It is loaded wherever jobsvc is installed, so it
imports nothing but pytest until a test asks for one."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from jobsvc.testing.background import Background
    from jobsvc.testing.server import AsyncJobServer, JobServer


@pytest.fixture(scope="session")
def jobsvc_background() -> "Iterator[Background]":
    """The thread in which servers under test run."""
    from jobsvc.testing.background import background

    with background() as running:
        yield running


@pytest.fixture(scope="session")
def jobsvc_postgres(jobsvc_background: "Background") -> Iterator[str]:
    """The DSN of a PostgreSQL that lasts for the whole session."""
    from jobsvc.testing.postgres import running_postgres

    with jobsvc_background.entered(running_postgres()) as dsn:
        yield dsn


@pytest.fixture
def jobsvc_settings() -> dict[str, Any]:
    """Settings of the server under test, by their names in `Settings`; override the fixture."""
    return {}


@pytest.fixture
def async_jobsvc_server(
    jobsvc_background: "Background", jobsvc_postgres: str, jobsvc_settings: dict[str, Any]
) -> "Iterator[AsyncJobServer]":
    """A real server with a fresh database, for a test that is a coroutine."""
    from jobsvc.testing.server import running_server

    with running_server(jobsvc_background, jobsvc_postgres, **jobsvc_settings) as server:
        yield server


@pytest.fixture
def jobsvc_server(async_jobsvc_server: "AsyncJobServer") -> "JobServer":
    """A real server with a fresh database, for a test that blocks."""
    from jobsvc.testing.server import JobServer

    return JobServer(async_jobsvc_server)
