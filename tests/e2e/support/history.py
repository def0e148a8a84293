"""Events that clients and processors saw, one JSON line each, from any number of processes."""

import os
from pathlib import Path
from typing import Literal

import msgspec

Result = Literal["ok", "fail", "unknown"]


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag_field="event", tag=str.lower):
    """Something that was seen. No cycle leads through it, and there may be a million."""


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
        #: What was read so far: a long run has a million events, and is asked again and again.
        self._events: list[AnyEvent] = []
        self._runs: dict[str, list[Run]] = {}
        self._read_bytes = 0

    def note(self, event: AnyEvent) -> None:
        """Appends an event."""
        os.write(self._file, msgspec.json.encode(event) + b"\n")

    def events(self) -> list[AnyEvent]:
        """Everything so far, in order."""
        self._read()
        return list(self._events)

    def runs(self, *job_ids: str) -> list[Run]:
        """The deliveries so far; of these jobs only, if some are given."""
        self._read()
        if not job_ids:
            return [event for event in self._events if isinstance(event, Run)]
        # In the order in which they came.
        runs = [run for job_id in dict.fromkeys(job_ids) for run in self._runs.get(job_id, ())]
        return sorted(runs, key=lambda run: run.time)

    def _read(self) -> None:
        with self.path.open("rb") as file:
            file.seek(self._read_bytes)
            new = file.read()
        for line in new.splitlines():
            event = _decode(line)
            self._events.append(event)
            if isinstance(event, Run):
                self._runs.setdefault(event.job_id, []).append(event)
        self._read_bytes += len(new)

    def close(self) -> None:
        """Closes the file."""
        os.close(self._file)
