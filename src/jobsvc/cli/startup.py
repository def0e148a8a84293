"""First steps of a command that starts a process: settings, log, failures as one line."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

from jobsvc import plain_text
from jobsvc.exit_code import ExitCode
from jobsvc.settings import Settings, SettingsInvalid, unknown_names
from jobsvc.tracing import stderr_log


def exit_line(text: str, code: ExitCode = ExitCode.FAILED) -> NoReturn:
    """Ends the command with one line and an exit code."""
    print(f"jobsvc: {plain_text.lines(text)}", file=sys.stderr)
    raise SystemExit(code)


def warn_of_unknown_settings() -> None:
    """Says in one line which variables look like settings and are none."""
    if complaint := unknown_names(os.environ):
        print(f"jobsvc: warning: {complaint}", file=sys.stderr)


def read_settings(**overrides: Any) -> Settings:
    """Returns the settings of the environment; ends the command when they are invalid."""
    try:
        return Settings.read(os.environ, **overrides)
    except SettingsInvalid as error:
        exit_line(f"{error}", ExitCode.CONFIGURATION)


def log_to_stderr() -> None:
    """Logs as JOBSVC_LOG_LEVEL and JOBSVC_LOG_FORMAT say; ends the command when they say nothing
    of use."""
    try:
        stderr_log.log_to_stderr(others=logging.WARNING)
    except ValueError as error:
        exit_line(f"{error}", ExitCode.CONFIGURATION)


def raise_file_limit() -> None:
    """Allows this process as many open files as it may have: each connection takes one, and most
    systems allow 1,024 unless a process asks for more."""
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # macOS has a limit of its own below this one.
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@contextmanager
def startup_errors() -> Iterator[None]:
    """Ends the command with one line when the start fails for a known reason."""
    from jobsvc.api.listen_address import PortTaken
    from jobsvc.auth.watched_files import FileUnusable
    from jobsvc.domain.errors import DatabaseUnavailable
    from jobsvc.embedded import EmbeddedUnavailable, EmbeddedUnsuitable
    from jobsvc.http_server import HttpListenFailed
    from jobsvc.store.ddl import DatabaseUnsuitable
    from jobsvc.store.dsn import DsnInvalid

    configuration = (EmbeddedUnsuitable, DatabaseUnsuitable, DsnInvalid, FileUnusable)
    known = (*configuration, PortTaken, HttpListenFailed, EmbeddedUnavailable, DatabaseUnavailable)

    def end(error: BaseException) -> NoReturn:
        is_configuration = isinstance(error, configuration)
        exit_line(_line(error), ExitCode.CONFIGURATION if is_configuration else ExitCode.TEMPORARY)

    try:
        yield
    except known as error:
        end(error)
    except BaseExceptionGroup as group:
        found, rest = group.split(known)
        if found is None or rest is not None:
            raise
        leaf: BaseException = found
        while isinstance(leaf, BaseExceptionGroup):
            leaf = leaf.exceptions[0]
        end(leaf)


def _line(error: BaseException) -> str:
    cause = error.__cause__
    return f"{error} ({type(cause).__name__}: {cause})" if cause is not None else f"{error}"
