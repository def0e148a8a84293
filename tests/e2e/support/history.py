"""Events that clients and processors saw, one JSON line each, from any number of processes."""

import os
from pathlib import Path
from typing import Literal

import msgspec

Result = Literal["ok", "fail", "unknown"]


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag=str.lower):
    """Something that was seen."""


class Create(Event):
    """A creation has returned; `unknown` when it may have been committed all the same."""

    request_id: str
    result: Result
    job_id: str = ""
    time: float = 0.0


class Update(Event):
    """A status came on a stream, or (`stream` 0) by GetJob."""

    stream: int
    job_id: str
    version: int
    state: int
    output: str = ""
    time: float = 0.0


class Close(Event):
    """A status stream ended. OK means that the server had nothing more to tell."""

    stream: int
    job_ids: list[str]
    code: str
    reason: str = ""


class Run(Event):
    """A delivery: a processor was entered. `run` is its own mark, which it puts into the output."""

    job_id: str
    attempt: int
    run: str
    time: float
    pid: int = 0


class Report(Event):
    """The result of an outcome that a worker of the test reported by itself."""

    job_id: str
    lease_id: int
    result: Result


class Fault(Event):
    """Something was broken for a time. `hits` counts what it met: processes, sessions, bytes."""

    kind: str
    begin_time: float
    end_time: float
    hits: int


AnyEvent = Create | Update | Close | Run | Report | Fault
_decode = msgspec.json.Decoder(AnyEvent).decode


class History:
    """A file of events. A line is one write, so a process that is killed leaves none torn."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(self, event: AnyEvent) -> None:
        """Appends an event."""
        os.write(self._file, msgspec.json.encode(event) + b"\n")

    def events(self) -> list[AnyEvent]:
        """Everything so far, in order."""
        return [_decode(line) for line in self.path.read_bytes().splitlines()]

    def runs(self, *job_ids: str) -> list[Run]:
        """The deliveries so far; of these jobs only, if some are given."""
        runs = [event for event in self.events() if isinstance(event, Run)]
        return [run for run in runs if not job_ids or run.job_id in job_ids]

    def close(self) -> None:
        """Closes the file."""
        os.close(self._file)
