"""Texts of others as plain text. Control characters in them could forge lines of a log, or command
the terminal that shows them."""

import logging
import re
from types import TracebackType

#: Control characters, and what else ends a line.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
#: Those that JSON text may hold in strings, or between values.
_CONTROLS_OF_JSON = re.compile("[\x7f-\x9f\u2028\u2029]")
_CONTROLS_IN_LINES = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_INDENT = "  "


def has_controls(text: str) -> bool:
    """Whether a text holds control characters."""
    return _CONTROLS.search(text) is not None


def one_line(text: str) -> str:
    """A text with its control characters escaped, line breaks and tabs too."""
    return _CONTROLS.sub(_escaped, text)


def lines(text: str) -> str:
    """A text with its control characters escaped, except for line breaks and tabs."""
    return _CONTROLS_IN_LINES.sub(_escaped, text.replace("\r\n", "\n"))


def json_text(text: str) -> str:
    """The same JSON, with all control characters escaped that JSON lets through."""
    return _CONTROLS_OF_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()


class LogFormatter(logging.Formatter):
    """A record is one line, whatever its message holds; the lines of a stack trace are indented."""

    def __init__(self, process: int | None = None) -> None:
        """`process` is the number of this process, if it is one of several with one log."""
        number = "" if process is None else f"[{process}]"
        super().__init__(f"%(asctime)s %(levelname)s %(name)s{number}: %(message)s")

    # The names of these are logging's.
    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        record.message = one_line(record.message)
        return super().formatMessage(record)

    def formatException(  # noqa: N802
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None]
        | tuple[None, None, None],
    ) -> str:
        return _INDENT + lines(super().formatException(ei)).replace("\n", f"\n{_INDENT}")

    def formatStack(self, stack_info: str) -> str:  # noqa: N802
        return _INDENT + lines(stack_info).replace("\n", f"\n{_INDENT}")
