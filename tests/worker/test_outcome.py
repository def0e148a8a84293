"""The end of an attempt becomes the outcome that the server is told."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from google.rpc import code_pb2
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.v1.payload_pb2 import Payload
from jobsvc.worker import Cancelled, Fail, Release, Retry
from jobsvc.worker.failure import outcome_of, upper_snake
from jobsvc.worker.outcome import clean, released, report
from jobsvc.worker.payload import encoder, input_text, outcome_of_value

REASON = re.compile(r"[A-Z][A-Z0-9_]{0,61}[A-Z0-9]")


class ArticleGone(Fail):
    """A processor's own permanent failure."""


class Unprintable(Exception):
    def __str__(self) -> str:
        raise SystemExit("no text")


class UnprintableFail(Fail, Unprintable):
    __str__ = Unprintable.__str__


class Nameless(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]  # on purpose
        raise SystemExit("no name")


class Classless(Exception, metaclass=Nameless):
    @property
    def __class__(self) -> Any:  # type: ignore[override]  # on purpose
        raise SystemExit("no class")


class Causeless(Exception):
    @property
    def __cause__(self) -> Any:  # type: ignore[override]  # on purpose
        raise SystemExit("no cause")


@pytest.mark.parametrize(
    ("exception", "code", "reason"),
    [
        (ValueError("bad"), "UNKNOWN", "VALUE_ERROR"),
        (KeyError("k"), "UNKNOWN", "KEY_ERROR"),
        (TimeoutError(), "DEADLINE_EXCEEDED", "TIMEOUT_ERROR"),
        (ConnectionResetError("reset"), "UNAVAILABLE", "CONNECTION_RESET_ERROR"),
        (OSError("disk"), "UNAVAILABLE", "OS_ERROR"),
        (MemoryError(), "RESOURCE_EXHAUSTED", "MEMORY_ERROR"),
        (NotImplementedError(), "UNIMPLEMENTED", "NOT_IMPLEMENTED_ERROR"),
        (asyncio.CancelledError(), "CANCELLED", "CANCELLED_ERROR"),
        (Cancelled(), "CANCELLED", "CANCELLED"),
        (SystemExit(2), "UNKNOWN", "SYSTEM_EXIT"),
        (ExceptionGroup("g", [ExceptionGroup("h", [OSError("x")])]), "UNAVAILABLE", "OS_ERROR"),
    ],
)
def test_other_exceptions_are_failures_left_to_their_code(
    exception: BaseException, code: str, reason: str
) -> None:
    failure = outcome_of("l", exception).failure
    assert code_pb2.Code.Name(failure.error.code) == code
    assert failure.error.reason == reason
    assert failure.error.message
    assert not failure.HasField("retryable")
    assert not failure.HasField("retry_delay")


def test_fail_is_permanent() -> None:
    failure = outcome_of("l", Fail("no such page", reason="page gone", code="NOT_FOUND")).failure
    assert failure.HasField("retryable")
    assert not failure.retryable
    assert (failure.error.code, failure.error.reason) == (code_pb2.NOT_FOUND, "PAGE_GONE")
    assert failure.error.message == "no such page"


def test_own_kind_of_failure_names_the_reason() -> None:
    assert outcome_of("l", ArticleGone("x")).failure.error.reason == "ARTICLE_GONE"
    assert outcome_of("l", Fail("x")).failure.error.reason == ""


def test_retry_is_retried_after_its_delay() -> None:
    failure = outcome_of("l", Retry("later", delay=timedelta(seconds=1.5))).failure
    assert failure.retryable
    assert failure.retry_delay.ToMilliseconds() == 1500


def test_release_uses_no_attempt() -> None:
    outcome = outcome_of("l", Release(delay=2, reason="too hot"))
    assert outcome.release.delay.seconds == 2
    assert outcome.release.reason == "too hot"


@pytest.mark.parametrize("code", ["OK", 0, 99, "NOPE"])
def test_code_must_be_that_of_an_error(code: str | int) -> None:
    with pytest.raises(ValueError, match=r"."):
        Fail("x", code=code)


@pytest.mark.parametrize("delay", [-1, 604_801, float("nan")])
def test_delay_must_be_within_a_week(delay: float) -> None:
    with pytest.raises(ValueError, match="delay"):
        Retry("x", delay=delay)


@given(st.text(st.characters(codec=None, exclude_categories=()), max_size=9000))
def test_any_text_fits_the_contract(text: str) -> None:
    error = outcome_of("l", ValueError(text)).failure.error
    for value, longest in ((error.message, 4096), (error.stack_trace, 16_384)):
        assert len(value) <= longest
        assert "\0" not in value
        value.encode()


def test_stack_trace_keeps_its_end() -> None:
    trace = outcome_of("l", ValueError("x" * 20_000 + "end")).failure.error.stack_trace
    assert len(trace) == 16_384
    assert trace.endswith("end\n")


@pytest.mark.parametrize(
    ("make", "message", "stack_trace"),
    [
        (Unprintable, "Unprintable cannot be described", ""),
        (UnprintableFail, "UnprintableFail cannot be described", ""),
        (lambda: Classless(), "Classless cannot be described", "Classless cannot be described"),
        (lambda: Causeless("x"), "x", "Causeless: the stack trace cannot be described"),
        (
            lambda: SyntaxError("bad", ("mine.py", 1, "column", "text")),
            "bad (mine.py, line 1)",
            "SyntaxError: the stack trace cannot be described",
        ),
        (lambda: Release(reason=7), "Release cannot be described", "Release cannot be described"),
        (lambda: Fail(reason=7), "Fail cannot be described", "Fail cannot be described"),
    ],
)
def test_exception_that_cannot_be_described_is_reported(
    make: Callable[[], BaseException], message: str, stack_trace: str
) -> None:
    # Made here: pytest asks a parameter for its class and name.
    failure = outcome_of("l", make()).failure
    assert failure.error.message == message
    assert stack_trace in failure.error.stack_trace
    assert failure.error.reason


@given(st.text(max_size=100))
def test_reason_matches_the_contract_or_is_empty(name: str) -> None:
    reason = upper_snake(name)
    assert reason == "" or REASON.fullmatch(reason)


def test_reasons_read_well() -> None:
    assert upper_snake("HTTPError") == "HTTP_ERROR"
    assert upper_snake("ALREADY_THERE") == "ALREADY_THERE"
    assert upper_snake("X") == ""


def test_clean_removes_what_protobuf_or_the_database_refuse() -> None:
    assert clean("a\0b\ud800c", 10) == "abc"


@dataclass
class Measured:
    value: float
    unit: str | None = None


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([1], "OUTPUT_INVALID"),
        ("text", "OUTPUT_INVALID"),
        (object(), "OUTPUT_INVALID"),
        ({"x": "\ud800"}, "OUTPUT_INVALID"),
        ({"x": [1.5, {"y": float("nan")}]}, "OUTPUT_INVALID"),
        (Measured(float("-inf")), "OUTPUT_INVALID"),
        ({"x": "y" * 100}, "OUTPUT_TOO_LARGE"),
    ],
)
def test_unusable_output_is_a_permanent_failure(value: Any, reason: str) -> None:
    failure = outcome_of_value("l", value, encoder(), 100).failure
    assert failure.error.reason == reason
    assert failure.HasField("retryable")
    assert not failure.retryable


def test_output_may_have_null() -> None:
    outcome = outcome_of_value("l", Measured(1.5), encoder(), 100)
    assert not isinstance(outcome, str)
    assert outcome.success.output.json_text == '{"value":1.5,"unit":null}'


def test_nothing_is_the_lease_alone() -> None:
    assert outcome_of_value("l", None, encoder(), 100) == "l"


def test_lease_alone_is_spelled_out_for_a_server_that_takes_no_ids() -> None:
    outcomes = ["a", released("b", 0.0, ""), "c"]
    spelled = report(outcomes, takes_ids=False)
    assert not spelled.succeeded_lease_ids
    assert sorted((o.lease_id, o.WhichOneof("result")) for o in spelled.outcomes) == [
        ("a", "success"),
        ("b", "release"),
        ("c", "success"),
    ]
    short = report(outcomes, takes_ids=True)
    assert list(short.succeeded_lease_ids) == ["a", "c"]
    assert [(o.lease_id, o.WhichOneof("result")) for o in short.outcomes] == [("b", "release")]


def test_input_is_read_in_either_spelling() -> None:
    assert input_text(Payload(json_text='{"a":1}')) == '{"a":1}'
    assert input_text(Payload()) == "{}"
    payload = Payload()
    payload.json.update({"a": "b"})
    assert input_text(payload).replace(" ", "").replace("\n", "") == '{"a":"b"}'
