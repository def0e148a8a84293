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


def log_to_stderr(process: int | None = None) -> None:
    """Logs as JOBSVC_LOG_LEVEL and JOBSVC_LOG_FORMAT say; ends the command when they say nothing
    of use. `process` is the number of this process, if it is one of several."""
    try:
        stderr_log.log_to_stderr(others=logging.WARNING, process=process)
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
    try:
        yield
    except Exception as error:  # ExceptionGroup is one, too; what is unknown goes on
        code = _code_of(error)
        if code is None:
            raise
        leaf: BaseException = error
        while isinstance(leaf, BaseExceptionGroup):
            leaf = leaf.exceptions[0]
        exit_line(_line(leaf), code)


def _code_of(error: Exception) -> ExitCode | None:
    """The exit code of a failed start, by the first reason in it; None if one is not known."""
    # Imported late: the parent of several processes does without the libraries behind them.
    from jobsvc.api.listen_address import PortTaken
    from jobsvc.auth.watched_files import FileUnusable
    from jobsvc.domain.errors import DatabaseUnavailable
    from jobsvc.embedded import EmbeddedUnavailable, EmbeddedUnsuitable
    from jobsvc.http_server import HttpListenFailed
    from jobsvc.store.ddl import DatabaseUnsuitable
    from jobsvc.store.dsn import DsnInvalid

    configuration = (EmbeddedUnsuitable, DatabaseUnsuitable, DsnInvalid, FileUnusable)
    known = (*configuration, PortTaken, HttpListenFailed, EmbeddedUnavailable, DatabaseUnavailable)
    if isinstance(error, ExceptionGroup):
        return None if error.split(known)[1] is not None else _code_of(error.exceptions[0])
    if not isinstance(error, known):
        return None
    return ExitCode.CONFIGURATION if isinstance(error, configuration) else ExitCode.TEMPORARY


def _line(error: BaseException) -> str:
    cause = error.__cause__
    return f"{error} ({type(cause).__name__}: {cause})" if cause is not None else f"{error}"
