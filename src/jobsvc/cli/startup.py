"""First steps of a command that starts a process: settings, log, failures as one line."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import typer

from jobsvc.settings import Settings, SettingsInvalid


def exit_line(text: str) -> NoReturn:
    """Ends the command with one line and exit code 1."""
    print(f"jobsvc: {text}", file=sys.stderr)
    raise typer.Exit(1)


def read_settings(**overrides: Any) -> Settings:
    """Returns the settings of the environment; ends the command when they are invalid."""
    try:
        return Settings.read(os.environ, **overrides)
    except SettingsInvalid as error:
        exit_line(f"{error}")


def log_to_stderr() -> None:
    """Logs at the level of JOBSVC_LOG_LEVEL (default INFO) to stderr."""
    logging.basicConfig(
        level=os.environ.get("JOBSVC_LOG_LEVEL", "INFO").upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    # The store logs a lost database in one line; the pool of the driver would add a stack trace.
    logging.getLogger("asyncpg.pool").setLevel(logging.ERROR)


@contextmanager
def startup_errors() -> Iterator[None]:
    """Ends the command with one line when the start fails for a known reason."""
    from jobsvc.api.listen_address import PortTaken
    from jobsvc.domain.errors import DatabaseUnavailable
    from jobsvc.embedded import EmbeddedUnavailable
    from jobsvc.store.dsn import DsnInvalid
    from jobsvc.store.migrate import DatabaseUnsuitable

    known = (PortTaken, EmbeddedUnavailable, DatabaseUnavailable, DatabaseUnsuitable, DsnInvalid)
    try:
        yield
    except known as error:
        exit_line(_line(error))
    except BaseExceptionGroup as group:
        found, rest = group.split(known)
        if found is None or rest is not None:
            raise
        leaf: BaseException = found
        while isinstance(leaf, BaseExceptionGroup):
            leaf = leaf.exceptions[0]
        exit_line(_line(leaf))


def _line(error: BaseException) -> str:
    cause = error.__cause__
    return f"{error} ({type(cause).__name__}: {cause})" if cause is not None else f"{error}"
