"""Reads what a person writes on the command line: durations, labels, inputs."""

import re
import sys
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

import typer

_UNIT_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def parse_duration(text: str) -> float:
    """Returns the seconds of a duration like `90`, `1.5s`, `5m`, `2h` or `1d`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip())
    if match is None:
        raise typer.BadParameter(f"{text!r} is no duration; write 90, 1.5s, 5m, 2h or 1d")
    return float(match[1]) * _UNIT_SECONDS[match[2]]


def parse_time(text: str) -> datetime:
    """Returns the time that ISO 8601 says; without a zone it is local."""
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r} is no time; write 2026-01-31T12:00:00Z") from None


def parse_label(text: str) -> tuple[str, str]:
    """Returns key and value of `key=value`."""
    key, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"{text!r} is no key=value")
    return key, value


def read_input(text: str | None) -> str | None:
    """Returns the JSON that an argument stands for: itself, `-` for stdin, `@file` for a file."""
    if text == "-":
        return sys.stdin.read()
    if text is not None and text.startswith("@"):
        try:
            return Path(text[1:]).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise typer.BadParameter(str(error)) from None
    return text


def parse_words(texts: Iterable[str] | None) -> list[str]:
    """Returns the words of options that may be given more than once, or with commas."""
    return [word for text in texts or () for word in text.split(",") if word]


def parse_moment(text: str, now: datetime) -> datetime:
    """Returns the time that ISO 8601 says, as `parse_time`, or the one that a duration ago was."""
    try:
        return parse_time(text)
    except typer.BadParameter:
        pass
    try:
        return now - timedelta(seconds=parse_duration(text))
    except (typer.BadParameter, OverflowError):
        raise typer.BadParameter(
            f"{text!r} is no time; write 2026-01-31T12:00:00Z, or 2h for two hours ago"
        ) from None
