"""Every error has its answer, with the code and the reason of the contract."""

import base64
import inspect
import re
import string
from itertools import groupby
from pathlib import Path
from urllib.parse import quote

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2
from grpc import aio
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.api.status import status_of
from jobsvc.domain import errors
from jobsvc.domain.errors import InvalidRequest, JobsvcError, Violation, WorkProtocolViolation
from tests.support.real_proxies import real_proxy

#: Every error that a caller may see.
KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, JobsvcError) and kind not in (JobsvcError, errors.DatabaseFailure)
]
PAGE = Path(__file__).parents[2] / "docs/reference/errors.md"

#: nginx answers 502 above 4 KiB by default, some clients drop a status of more than 8 KiB.
MAX_TRAILER_BYTES = 3 * 1024


#: ASCII; percent-encoded; of two to four bytes.
LETTERS = ["x", "\n", "%", "ß", "€", "\U0001f600"]


def example(kind: type[JobsvcError], text: str = "x") -> JobsvcError:
    """An error of a kind."""
    if issubclass(kind, InvalidRequest):
        return kind([Violation(text, text)])
    if kind is WorkProtocolViolation:
        return kind(text, [Violation(text, text)])
    takes = inspect.signature(kind).parameters.values()
    return kind(*[text for p in takes if p.kind is p.POSITIONAL_OR_KEYWORD])


def details(error: BaseException, trace_id: str = "") -> dict[str, Message]:
    """The details of an error's status, by their kind."""
    found: dict[str, Message] = {}
    for packed in status_of(error, trace_id).details:
        kind = packed.type_url.rpartition(".")[2]
        found[kind] = getattr(error_details_pb2, kind)()
        assert packed.Unpack(found[kind])
    return found


def trailer_bytes(error: JobsvcError) -> int:
    """Returns the size of the headers of a refusal, as HPACK counts them."""
    status = status_of(error)
    headers = {
        ":status": "200",
        "content-type": "application/grpc",
        "grpc-status": str(status.code),
        "grpc-message": quote(status.message, safe=string.punctuation.replace("%", " ")),
        "grpc-status-details-bin": base64.b64encode(status.SerializeToString()).decode(),
    }
    return sum(len(name) + len(value) + 32 for name, value in headers.items())


def answer(error: BaseException) -> tuple[str, str, list[str]]:
    """The reason, the code and the kinds of further details with which an error is answered."""
    found = details(error)
    info = found.pop("ErrorInfo")
    assert isinstance(info, error_details_pb2.ErrorInfo)
    assert info.domain == "jobsvc"
    return info.reason, code_pb2.Code.Name(status_of(error).code), sorted(found)


def rows() -> list[tuple[str, str, list[str]]]:
    """The rows of the page, as `answer` has them."""
    lines = [line.split("|") for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    return [
        (reason.strip(" `"), code.strip(" `"), sorted(re.findall(r"\w+", kinds)))
        for _, reason, code, kinds, *_ in lines
    ]


def test_page_of_errors_has_every_answer() -> None:
    answers = [answer(error) for error in (*map(example, KINDS), RuntimeError())]
    assert sorted(rows()) == [row for row, _ in groupby(sorted(answers))]


@pytest.mark.parametrize("kind", KINDS)
def test_answer_has_the_text_and_the_facts_of_the_error(kind: type[JobsvcError]) -> None:
    error = example(kind)
    info = details(error)["ErrorInfo"]
    assert isinstance(info, error_details_pb2.ErrorInfo)
    assert status_of(error).message == error.message
    assert dict(info.metadata) == error.metadata


def test_bad_request_names_every_field() -> None:
    error = InvalidRequest([Violation("spec.queue", "is bad"), Violation("spec.input", "too")])
    bad = details(error)["BadRequest"]
    assert isinstance(bad, error_details_pb2.BadRequest)
    assert [(v.field, v.description) for v in bad.field_violations] == [
        ("spec.queue", "is bad"),
        ("spec.input", "too"),
    ]
    assert status_of(error).message == "spec.queue: is bad"


@pytest.mark.parametrize(
    ("error", "resource"),
    [
        (errors.JobNotFound("17"), ("jobsvc.v1.Job", "17")),
        (errors.QueueNotFound("q"), ("jobsvc.v1.Queue", "q")),
        (errors.UniqueKeyTaken("key", "17"), ("jobsvc.v1.Job", "17")),
        (errors.RequestIdReused("18"), ("request_id", "18")),
    ],
)
def test_resource_is_named(error: JobsvcError, resource: tuple[str, str]) -> None:
    info = details(error)["ResourceInfo"]
    assert isinstance(info, error_details_pb2.ResourceInfo)
    assert (info.resource_type, info.resource_name) == resource


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize("count", [1, 20, 100])
def test_trailers_stay_small_however_long_the_texts(letter: str, count: int) -> None:
    long = letter * 5000
    error = InvalidRequest([Violation(f"{i}{long}", long) for i in range(count)], index=long)
    assert trailer_bytes(error) < MAX_TRAILER_BYTES
    bad = details(error)["BadRequest"]
    assert isinstance(bad, error_details_pb2.BadRequest)
    assert len(bad.field_violations) == min(count, 20)
    assert all(v.field and v.description for v in bad.field_violations)


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize("kind", KINDS)
def test_no_error_outgrows_the_trailers(kind: type[JobsvcError], letter: str) -> None:
    assert trailer_bytes(example(kind, letter * 5000)) < MAX_TRAILER_BYTES
    assert trailer_bytes(example(kind, letter * 100)) < MAX_TRAILER_BYTES


def test_texts_of_an_ordinary_refusal_are_whole() -> None:
    violations = [
        Violation(f"spec.input.json_text.items[{i}]", "must be at least 1, but is 0")
        for i in range(12)
    ]
    bad = details(InvalidRequest(violations))["BadRequest"]
    assert isinstance(bad, error_details_pb2.BadRequest)
    assert [Violation(v.field, v.description) for v in bad.field_violations] == violations


async def test_worst_refusals_pass_nginx(tmp_path: Path) -> None:
    """They come as they are, not as its 502."""
    refusals = [
        status_of(InvalidRequest([Violation(f"{i}{letter * n}", letter * n) for i in range(20)]))
        for letter in LETTERS
        for n in (10, 20, 40, 80, 5000)
    ]

    async def refuse(number: bytes, context: aio.ServicerContext[bytes, bytes]) -> bytes:
        status = refusals[int(number)]
        packed = (("grpc-status-details-bin", status.SerializeToString()),)
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, status.message, packed)

    server = aio.server()
    handlers = {"Refuse": grpc.unary_unary_rpc_method_handler(refuse)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("Test", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        with real_proxy("nginx", f"127.0.0.1:{port}", tmp_path) as target:
            async with aio.insecure_channel(target) as channel:
                for number, status in enumerate(refusals):
                    with pytest.raises(aio.AioRpcError) as caught:
                        await channel.unary_unary("/Test/Refuse")(str(number).encode())
                    assert caught.value.details() == status.message
                    trailers = dict(caught.value.trailing_metadata())
                    assert trailers["grpc-status-details-bin"] == status.SerializeToString()
    finally:
        await server.stop(None)


@given(st.lists(st.builds(Violation, st.text(), st.text()), min_size=1, max_size=30))
def test_any_violation_can_be_sent(violations: list[Violation]) -> None:
    assert trailer_bytes(InvalidRequest(violations)) < MAX_TRAILER_BYTES


class Surprise(JobsvcError):
    """An error of ours that nobody gave an answer."""


@pytest.mark.parametrize("error", [ValueError("secret"), KeyError("secret"), Surprise("secret")])
def test_unknown_error_says_nothing_but_its_trace(error: Exception) -> None:
    status = status_of(error, "0af7")
    assert (status.code, status.message) == (code_pb2.INTERNAL, "internal error")
    assert b"secret" not in status.SerializeToString()
    info = details(error, "0af7")["ErrorInfo"]
    assert isinstance(info, error_details_pb2.ErrorInfo)
    assert (info.reason, dict(info.metadata)) == ("INTERNAL_ERROR", {"traceId": "0af7"})
    assert not details(error)["ErrorInfo"].metadata  # type: ignore[attr-defined]  # an ErrorInfo


def test_refusals_in_the_same_words_share_a_status() -> None:
    def refusal(kind: type[errors.RateLimited], message: str) -> errors.RateLimited:
        return kind(message, "calls")

    first = status_of(refusal(errors.RateLimited, "enough"))
    assert status_of(refusal(errors.RateLimited, "enough")) is first
    assert status_of(refusal(errors.RateLimited, "more")).message == "more"
    info = details(refusal(errors.StreamLimit, "enough"))["ErrorInfo"]
    assert isinstance(info, error_details_pb2.ErrorInfo)
    assert info.reason == "STREAM_LIMIT"
