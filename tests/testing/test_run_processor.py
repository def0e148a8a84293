"""`run_processor`: one attempt, and what a server would make of it."""

import asyncio
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

from jobsvc.testing import run_processor, run_processor_async
from jobsvc.worker import (
    Context,
    Fail,
    PreviousError,
    Release,
    Retry,
    RetryPolicy,
    processor,
)


@dataclass
class Order:
    what: str
    number: int = 0


@dataclass
class Receipt:
    total: int


SEEN: list[Context] = []


@processor("orders", retry=RetryPolicy(max_attempts=2, initial_backoff=30, backoff_multiplier=3))
async def order(order: Order, context: Context) -> Receipt:
    SEEN.append(context)
    context.progress(10, order.what)
    match order.what:
        case "retry":
            raise Retry("later", delay=5, reason="BUSY")
        case "fail":
            raise Fail("never", reason="NO")
        case "release":
            raise Release(delay=3, reason="not mine")
        case "crash":
            raise OSError("the disk is gone")
        case "bad":
            raise ValueError("a defect")
        case "wait":
            await asyncio.sleep(60)  # Until it is cancelled.
        case "ignore":
            while not context.cancelled:
                await _nap()
        case "fail when cancelled":
            try:
                await asyncio.sleep(60)  # Until it is cancelled.
            except asyncio.CancelledError:
                raise ValueError("in the middle") from None
        case "other":
            return {"sum": 1}  # type: ignore[return-value]
    return Receipt(order.number)


async def _nap() -> None:
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(0.01)  # Between two looks.


@processor("plain")
def plain(order: dict[str, Any], context: Context) -> dict[str, Any]:
    while order.get("wait") and not context.cancelled:
        time.sleep(0.01)  # As a processor that looks now and then.
    return {"thread": threading.current_thread().name, **order}


def test_output_and_progress_are_those_of_the_job() -> None:
    outcome = run_processor(order, {"what": "x", "number": 3})
    assert (outcome.state, outcome.output, outcome.error) == ("COMPLETED", {"total": 3}, None)
    assert outcome.progress == (10, "x")
    assert outcome.output_json == '{"total":3}'


@pytest.mark.parametrize(
    ("what", "state", "reason", "delay"),
    [
        ("retry", "PENDING", "BUSY", 5.0),
        ("crash", "PENDING", "OS_ERROR", 30.0),
        ("bad", "PENDING", "VALUE_ERROR", 30.0),
        ("other", "PENDING", "OUTPUT_REJECTED", 30.0),
        ("fail", "FAILED", "NO", None),
    ],
)
def test_error_decides_what_becomes_of_the_job(
    what: str, state: str, reason: str, delay: float | None
) -> None:
    outcome = run_processor(order, {"what": what})
    assert outcome.error is not None
    assert (outcome.state, outcome.error.reason) == (state, reason)
    assert outcome.retry_delay_seconds == delay
    assert outcome.attempt_used


def test_last_attempt_fails_the_job() -> None:
    assert run_processor(order, {"what": "crash"}, attempt=2).state == "FAILED"
    assert SEEN[-1].last_attempt
    third = run_processor(order, {"what": "crash"}, attempt=2, max_attempts=4)
    assert (third.state, third.retry_delay_seconds) == ("PENDING", 90.0)
    assert not SEEN[-1].last_attempt


def test_release_uses_no_attempt() -> None:
    outcome = run_processor(order, {"what": "release"}, attempt=2)
    assert (outcome.state, outcome.retry_delay_seconds) == ("PENDING", 3.0)
    assert not outcome.attempt_used


def test_processor_sees_the_job() -> None:
    error = PreviousError("UNAVAILABLE", "BUSY", "was busy")
    run_processor(
        order,
        {"what": "x"},
        attempt=2,
        labels={"a": "b"},
        user_id="42",
        previous_error=error,
        job_id="01890000-0000-7000-8000-000000000001",
    )
    seen = SEEN[-1]
    assert (seen.attempt, seen.labels, seen.owner_user_id) == (2, {"a": "b"}, "42")
    assert (seen.previous_error, seen.job_id[-1]) == (error, "1")


@pytest.mark.parametrize("input", ['{"number": 1}', "{", {"what": 1}])
def test_input_that_does_not_decode_is_rejected(input: Any) -> None:
    outcome = run_processor(order, input)
    assert outcome.error is not None
    assert (outcome.state, outcome.error.reason) == ("PENDING", "INPUT_REJECTED")


def test_input_that_is_no_object_is_the_mistake_of_the_test() -> None:
    with pytest.raises(ValueError, match="one JSON object"):
        run_processor(order, [1])


def test_cancellation_ends_the_job() -> None:
    assert run_processor(order, {"what": "wait"}, cancel_after=0.05).state == "CANCELLED"
    assert run_processor(plain, {"wait": True}, cancel_after=0.05).state == "COMPLETED"
    # A server cancels what fails after the request.
    failed = run_processor(order, {"what": "fail when cancelled"}, cancel_after=0.05)
    assert failed.state == "CANCELLED"


def test_attempt_that_takes_too_long_fails() -> None:
    outcome = run_processor(order, {"what": "wait"}, attempt_timeout=0.05)
    assert outcome.error is not None
    assert (outcome.state, outcome.error.reason) == ("PENDING", "ATTEMPT_TIMEOUT")
    late = run_processor(plain, {"wait": True}, attempt_timeout=0.05)
    assert late.error is not None
    assert late.error.reason == "ATTEMPT_TIMEOUT"
    ignored = run_processor(order, {"what": "ignore"}, attempt_timeout=0.05)
    assert ignored.error is not None


def test_plain_function_runs_in_a_thread() -> None:
    outcome = run_processor(plain, '{"a": 1}')
    assert outcome.output["a"] == 1
    assert outcome.output["thread"] != threading.current_thread().name


async def test_coroutine_awaits_it_on_its_own_loop() -> None:
    loops = []

    @processor("loops")
    async def look() -> None:
        loops.append(asyncio.get_running_loop())

    outcome = await run_processor_async(look)
    assert (outcome.state, outcome.output) == ("COMPLETED", {})
    assert loops == [asyncio.get_running_loop()]
    with pytest.raises(RuntimeError, match="running event loop"):
        run_processor(look)


def test_output_that_is_too_large_fails_the_job() -> None:
    @processor("large")
    async def large() -> dict[str, str]:
        return {"a": "x" * 300_000}

    outcome = run_processor(large)
    assert outcome.error is not None
    assert (outcome.state, outcome.error.reason) == ("FAILED", "OUTPUT_TOO_LARGE")
