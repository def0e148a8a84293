"""Processors with every habit a test needs. Each notes that it was entered, and marks its output.

Run as `python -m jobsvc.worker processors.py`: it imports nothing of the tests.
"""

import asyncio
import json
import os
import sys
import time
from typing import Any
from uuid import uuid4

from jobsvc.worker import Context, Release, Retry, processor

_HISTORY = os.open(os.environ["E2E_HISTORY"], os.O_WRONLY | os.O_APPEND)


def enter(context: Context) -> dict[str, Any]:
    """Notes the delivery; what it returns goes into the output."""
    run = uuid4().hex
    event = {
        "event": "run",
        "job_id": context.job_id,
        "attempt": context.attempt,
        "run": run,
        "time": time.time(),
        "pid": os.getpid(),
    }
    os.write(_HISTORY, json.dumps(event).encode() + b"\n")
    return {"run": run, "attempt": context.attempt}


@processor("nap")
async def nap(input_: dict[str, Any], context: Context) -> dict[str, Any]:
    """Takes `seconds`; says when it was done."""
    output = enter(context)
    await asyncio.sleep(input_.get("seconds", 0))  # As long as the job says.
    return {**output, "done": time.time()}


@processor("thread-nap")
def thread_nap(input_: dict[str, Any], context: Context) -> dict[str, Any]:
    """Takes `seconds`, in a thread and deaf to cancellation."""
    output = enter(context)
    time.sleep(input_.get("seconds", 0))  # As long as the job says.
    return {**output, "done": time.time()}


@processor("greet")
async def greet(input_: dict[str, Any], context: Context) -> dict[str, Any]:
    """Tells progress, then greets `name`."""
    output = enter(context)
    context.progress(50, "thinking of a greeting")
    await asyncio.sleep(input_.get("seconds", 0))  # As long as the job says.
    return {**output, "greeting": f"Hello, {input_['name']}"}


@processor("flaky")
async def flaky(_: dict[str, Any], context: Context) -> dict[str, Any]:
    """Fails once."""
    output = enter(context)
    if context.attempt == 1:
        raise Retry("not yet", delay=0.05)
    return output


@processor("raises")
async def raises(_: dict[str, Any], context: Context) -> dict[str, Any]:
    """Raises what nobody expected."""
    enter(context)
    raise RuntimeError("the teapot is empty")


class Unspeakable(BaseException):
    """An exception that raises when it is asked for anything."""

    def __str__(self) -> str:
        raise SystemExit("no text")

    @property
    def __cause__(self) -> Any:  # type: ignore[override]  # on purpose
        raise SystemExit("no cause")

    @property
    def __class__(self) -> Any:  # type: ignore[override]  # on purpose
        raise SystemExit("no class")


def _bad_column() -> BaseException:
    # `traceback` computes with the column, and cannot with a text.
    return SyntaxError("bad", ("mine.py", 1, "column", "text"))


@processor("unspeakable")
async def unspeakable(input_: dict[str, Any], context: Context) -> dict[str, Any]:
    """Raises what nobody can describe."""
    enter(context)
    raise _bad_column() if input_.get("column") else Unspeakable()


@processor("unspeakable-thread")
def unspeakable_in_thread(input_: dict[str, Any], context: Context) -> dict[str, Any]:
    """The same in a thread."""
    enter(context)
    raise _bad_column() if input_.get("column") else Unspeakable()


@processor("sabotages")
async def sabotages(input_: dict[str, Any], context: Context) -> dict[str, Any]:
    """Breaks the worker's own record of this attempt, as a bug of the worker would."""
    output = enter(context)
    del context._attempt.lease_id
    return output


@processor("sabotages-thread")
def sabotages_in_thread(input_: dict[str, Any], context: Context) -> dict[str, Any]:
    """The same in a thread."""
    output = enter(context)
    del context._attempt.lease_id
    return output


@processor("releases")
async def releases(_: dict[str, Any], context: Context) -> dict[str, Any]:
    """Gives every job back, without a reason."""
    enter(context)
    raise Release


@processor("exits")
def exits(_: dict[str, Any], context: Context) -> dict[str, Any]:
    """Calls sys.exit."""
    enter(context)
    sys.exit(3)


@processor("exits-in-task")
async def exits_in_task(_: dict[str, Any], context: Context) -> dict[str, Any]:
    """Calls sys.exit in tasks and a callback of its own, and waits for one of them."""
    enter(context)

    async def leave() -> None:
        sys.exit(3)

    alone = asyncio.create_task(leave())
    asyncio.get_running_loop().call_soon(sys.exit)
    await asyncio.gather(leave(), asyncio.shield(alone))
    return {}


@processor("stops-loop")
async def stops_loop(_: dict[str, Any], context: Context) -> dict[str, Any]:
    """Stops the event loop of the worker, then fails."""
    enter(context)
    asyncio.get_running_loop().stop()
    await asyncio.sleep(0)  # The loop stops here.
    sys.exit(3)


@processor("cancels-all")
async def cancels_all(_: dict[str, Any], context: Context) -> dict[str, Any]:
    """Cancels every other task of the event loop, those of the worker too."""
    output = enter(context)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    return output


@processor("dies")
def dies(_: dict[str, Any], context: Context) -> dict[str, Any]:
    """Takes the whole process down."""
    enter(context)
    os._exit(7)


@processor("hangs")
def hangs(_: dict[str, Any], context: Context) -> dict[str, Any]:
    """Never comes back, and looks at nothing."""
    enter(context)
    while True:
        time.sleep(3600)  # The processor hangs.


@processor("sleeps")
async def sleeps(input_: dict[str, Any], context: Context) -> dict[str, Any]:
    """Sleeps for `seconds` on the event loop, as nobody should; `in_task` in a task of its own."""
    output = enter(context)

    async def block() -> None:
        _sleep(input_.get("seconds", 0))

    await (asyncio.create_task(block()) if input_.get("in_task") else block())
    return output


@processor("computes")
def computes(input_: dict[str, Any], context: Context) -> dict[str, Any]:
    """Pure Python for `seconds`, in a thread."""
    output = enter(context)
    return {**output, "rounds": _spin(input_["seconds"])}


@processor("blocks")
async def blocks(input_: dict[str, Any], context: Context) -> dict[str, Any]:
    """Pure Python for `seconds`, on the event loop."""
    output = enter(context)
    return {**output, "rounds": _spin(input_["seconds"])}


def _sleep(seconds: float) -> None:
    time.sleep(seconds)  # As long as the job says.


def _spin(seconds: float) -> int:
    end = time.monotonic() + seconds
    rounds = 0
    while time.monotonic() < end:
        rounds += 1
    return rounds
