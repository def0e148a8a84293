"""A file that declares queues: JSON, with the options of `declare_queue`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from jobsvc.cli.parse_text import parse_duration

if TYPE_CHECKING:  # gRPC takes a while to import; `jobsvc --help` does without
    from jobsvc.client import QueueOptions

_DURATIONS = {"attempt_timeout", "lease", "retention", "start_within"}
_OTHERS = {"input_schema", "output_schema", "max_waiting", "retry"}
_RETRY_DURATIONS = {"initial_backoff", "max_backoff"}
_RETRY = {"max_attempts", "backoff_multiplier"} | _RETRY_DURATIONS


def read_queue_file(path: Path) -> "list[tuple[str, QueueOptions]]":
    """Returns the names and options of the queues of a file: one object, or a list of objects with
    a `name`. Durations are seconds, or text like `5m`.

    Raises:
        typer.BadParameter: the file cannot be read, or has something else.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{path}: {error}") from None
    return [_queue(item) for item in (document if isinstance(document, list) else [document])]


def _queue(item: Any) -> "tuple[str, QueueOptions]":  # Any: as JSON has it
    from jobsvc.client import RetryPolicy

    if not isinstance(item, dict) or not isinstance(item.get("name"), str):
        raise typer.BadParameter("a queue is an object with a name")
    name = item["name"]
    _check_keys(name, item, _DURATIONS | _OTHERS | {"name"})
    options = {key: _value(key, value, _DURATIONS) for key, value in item.items() if key != "name"}
    if "retry" in options:
        retry = options["retry"]
        if not isinstance(retry, dict):
            raise typer.BadParameter(f"{name}: retry is an object")
        _check_keys(f"{name}: retry", retry, _RETRY)
        options["retry"] = RetryPolicy(
            **{key: _value(key, value, _RETRY_DURATIONS) for key, value in retry.items()}
        )
    return name, options  # type: ignore[return-value]  # checked key by key


def _value(key: str, value: Any, durations: set[str]) -> Any:  # Any: as JSON has it
    return parse_duration(value) if key in durations and isinstance(value, str) else value


def _check_keys(where: str, item: dict[str, Any], known: set[str]) -> None:
    if unknown := sorted(item.keys() - known):
        raise typer.BadParameter(f"{where}: no option {unknown[0]!r}; known are {sorted(known)}")
