"""The examples in other languages, and what their logs say."""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.e2e.support.history import Create, History, Run
from tests.e2e.support.processes import Process

ROOT = Path(__file__).parents[3]


def commands(language: str) -> tuple[list[str], list[str]]:
    """The worker and the caller of an example, as `make examples` builds them."""
    if language == "go":
        built = ROOT / "build" / "examples" / "go"
        return [str(built / "worker")], [str(built / "caller")]
    built = ROOT / "examples" / "typescript" / "dist" / "src"
    return ["node", str(built / "worker.js")], ["node", str(built / "caller.js")]


def bulk_command() -> list[str]:
    """The caller in Go that creates many jobs on one stream."""
    return [str(ROOT / "build" / "examples" / "go" / "bulk")]


def is_built(language: str) -> bool:
    """Whether an example is there to be run."""
    built = [*commands(language), *([bulk_command()] if language == "go" else ())]
    return all(Path(command[-1]).exists() for command in built)


def lines(process: Process, message: str) -> Iterator[dict[str, Any]]:
    """What a process has logged so far under this message."""
    for line in process.stdout.splitlines(keepends=True):
        if line.endswith("\n") and (fields := json.loads(line))["msg"] == message:
            yield fields


def note(history: History, processes: Iterable[Process]) -> None:
    """Puts what examples have done into the history: jobs that they created, and attempts."""
    for process in processes:
        for line in lines(process, "created"):
            history.note(Create(request_id=line["request_id"], result="ok", job_id=line["job_id"]))
        for line in lines(process, "job begins"):
            began = datetime.fromisoformat(line["time"]).timestamp()
            job_id, attempt = line["job_id"], line["attempt"]
            mark = f"{job_id}/{attempt}/{process.pid}"
            history.note(Run(job_id=job_id, attempt=attempt, run=mark, time=began))
