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


def asks_for_json() -> bool:
    """Whether JOBSVC_LOG_FORMAT asks for JSON.

    Raises:
        ValueError: it is neither `text` nor `json`.
    """
    name = os.environ.get("JOBSVC_LOG_FORMAT", "").lower() or "text"
    if name not in _FORMATS:
        raise ValueError(f"JOBSVC_LOG_FORMAT must be text or json, not {name!r}")
    return name == "json"


def log_to_stderr(others: int = logging.INFO) -> None:
    """Logs to stderr, unless the process logs somewhere already.

    The level is for loggers of jobsvc. All others, which in a worker are those of its processors,
    have `others`, or the level if that is higher; libraries have WARNING.

    Raises:
        ValueError: JOBSVC_LOG_LEVEL or JOBSVC_LOG_FORMAT is none.
    """
    asked = os.environ.get("JOBSVC_LOG_LEVEL", "").upper()
    if asked and asked not in _LEVELS:
        raise ValueError(f"JOBSVC_LOG_LEVEL must be one of {', '.join(_LEVELS)}, not {asked!r}")
    level = logging.getLevelNamesMapping()[asked or "INFO"]
    formatter = _FORMATS["json" if asks_for_json() else "text"]()
    if asked or not logging.getLogger().handlers:
        logging.getLogger("jobsvc").setLevel(level)
    if not logging.getLogger().handlers:
        for name in _LIBRARIES:
            logging.getLogger(name).setLevel(max(level, logging.WARNING))
        # The store logs a lost database in one line; the pool of the driver would add a traceback.
        logging.getLogger("asyncpg.pool").setLevel(logging.ERROR)
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(formatter)
        logging.basicConfig(level=max(level, others), handlers=[handler])
