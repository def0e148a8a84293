"""The log of a process: to stderr, at JOBSVC_LOG_LEVEL, as text or JSON."""

import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from jobsvc.plain_text import LogFormatter
from jobsvc.tracing.json_log import JsonFormatter

log = logging.getLogger(__name__)

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_FORMATS = {"text": LogFormatter, "json": JsonFormatter}
#: What they say below WARNING is for those who work on them.
_LIBRARIES = ("asyncio", "grpc", "opentelemetry")


def log_to_stderr(others: int = logging.INFO, process: int | None = None) -> None:
    """Logs to stderr, unless the process logs somewhere already; with the number of this process if
    it is one of several.

    The level is for loggers of jobsvc. All others, which in a worker are those of its processors,
    have `others`, or the level if that is higher; libraries have WARNING.

    Raises:
        ValueError: JOBSVC_LOG_LEVEL or JOBSVC_LOG_FORMAT is none.
    """
    asked, format_name = _asked()
    level = logging.getLevelNamesMapping()[asked or "INFO"]
    is_first = not logging.getLogger().handlers
    if asked or is_first:
        logging.getLogger("jobsvc").setLevel(level)
    if is_first:
        for name in _LIBRARIES:
            logging.getLogger(name).setLevel(max(level, logging.WARNING))
        # The store logs a lost database in one line; the pool of the driver would add a traceback.
        logging.getLogger("asyncpg.pool").setLevel(logging.ERROR)
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(_FORMATS[format_name](process))
        logging.basicConfig(level=max(level, others), handlers=[handler])


def log_json_if_asked() -> None:
    """As `log_to_stderr`, if the format is JSON: to be called before modules of others, which may
    set up a log of their own. Raises the same."""
    if _asked()[1] == "json":
        log_to_stderr()


def reload_level() -> None:
    """Takes the level for loggers of jobsvc from the file JOBSVC_ENV_FILE, which has a line
    `JOBSVC_LOG_LEVEL=…`; without that line it is INFO. Says in the log what it did: a file that
    cannot be used changes nothing."""
    path = os.environ.get("JOBSVC_ENV_FILE", "")
    if not path:
        log.warning("SIGHUP: there is nothing to read again, since JOBSVC_ENV_FILE is unset")
        return
    try:
        level = _level_in(read_env_file(Path(path).read_text(encoding="utf-8"))) or "INFO"
    except (OSError, ValueError) as error:
        log.error("SIGHUP: the level of the log stays as it is: %s", error)
        return
    ours = logging.getLogger("jobsvc")
    # Told at the more talkative of both levels, so that it is not lost.
    before = ours.level
    ours.setLevel(min(before, logging.WARNING))
    log.warning("SIGHUP: the level of the log is %s", level)
    ours.setLevel(level)


def read_env_file(text: str) -> dict[str, str]:
    """Returns the variables of a file with a `NAME=VALUE` on each line, as EnvironmentFile= of
    systemd and --env-file of docker take it: # and ; begin a comment, quotes around a value are
    left out. Pure."""
    variables = {}
    for line in map(str.strip, text.splitlines()):
        name, equals, value = line.partition("=")
        if equals and line[0] not in "#;":
            quote = value[:1]
            is_quoted = len(value) > 1 and quote in ("'", '"') and value[-1] == quote
            variables[name.strip()] = value[1:-1] if is_quoted else value.strip()
    return variables


def _level_in(environment: Mapping[str, str]) -> str:
    """The level, empty for the default. Raises ValueError."""
    level = environment.get("JOBSVC_LOG_LEVEL", "").upper()
    if level and level not in _LEVELS:
        raise ValueError(f"JOBSVC_LOG_LEVEL must be one of {', '.join(_LEVELS)}, not {level!r}")
    return level


def _asked() -> tuple[str, str]:
    """The level, empty for the default, and the format."""
    level = _level_in(os.environ)
    name = os.environ.get("JOBSVC_LOG_FORMAT", "").lower() or "text"
    if name not in _FORMATS:
        raise ValueError(f"JOBSVC_LOG_FORMAT must be text or json, not {name!r}")
    return level, name
