"""The log of a process: to stderr, at JOBSVC_LOG_LEVEL, as text or JSON."""

import logging
import os
import sys

from jobsvc.plain_text import LogFormatter
from jobsvc.tracing.json_log import JsonFormatter

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_FORMATS = {"text": LogFormatter, "json": JsonFormatter}
#: What they say below WARNING is for those who work on them.
_LIBRARIES = ("asyncio", "grpc", "opentelemetry")


def log_to_stderr(others: int = logging.INFO) -> None:
    """Logs to stderr, unless the process logs somewhere already.

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
        handler.setFormatter(_FORMATS[format_name]())
        logging.basicConfig(level=max(level, others), handlers=[handler])


def log_json_if_asked() -> None:
    """As `log_to_stderr`, if the format is JSON: to be called before modules of others, which may
    set up a log of their own. Raises the same."""
    if _asked()[1] == "json":
        log_to_stderr()


def _asked() -> tuple[str, str]:
    """The level, empty for the default, and the format."""
    level = os.environ.get("JOBSVC_LOG_LEVEL", "").upper()
    if level and level not in _LEVELS:
        raise ValueError(f"JOBSVC_LOG_LEVEL must be one of {', '.join(_LEVELS)}, not {level!r}")
    name = os.environ.get("JOBSVC_LOG_FORMAT", "").lower() or "text"
    if name not in _FORMATS:
        raise ValueError(f"JOBSVC_LOG_FORMAT must be text or json, not {name!r}")
    return level, name
