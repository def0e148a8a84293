"""Payloads: what is no JSON object of the contract is refused, and what is comes back."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest
from google.protobuf.struct_pb2 import ListValue, Struct, Value

from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.payload_pb2 import PAYLOAD_ENCODING_JSON_TEXT, Payload, PayloadSchema
from tests.api.support.fixtures import Create, Tables
from tests.api.support.refusal import Refusal, refused

_INVALID = grpc.StatusCode.INVALID_ARGUMENT
_MAX_BYTES = 256 * 1024
_DIGITS = "1" * 5000

_BAD_TEXTS = {
    "nothing": "",
    "blank": " ",
    "no JSON": "{a: 1}",
    "cut": '{"a": 1',
    "two": "{} {}",
    "array": "[1]",
    "string": '"a"',
    "number": "1",
    "null": "null",
    "NaN": '{"a": NaN}',
    "Infinity": '{"a": Infinity}',
    "minus Infinity": '{"a": [-Infinity]}',
    "NaN behind a huge number": f'{{"a": {_DIGITS}, "b": NaN}}',
    "key twice": '{"a": 1, "a": 1}',
    "inner key twice": '{"a": [{"b": 1, "b": 2}]}',
    "key twice in another spelling": '{"a": 1, "\\u0061": 2}',
    "raw NUL": '{"a": "\0"}',
    "NUL in a value": '{"a": "x\\u0000"}',
    "NUL in a key": '{"x\\u0000": 1}',
    "NUL in a list": '{"a": [["\\u0000"]]}',
    "lone surrogate": '{"a": "\\ud800"}',
    "lone surrogate in a key": '{"\\udc00": 1}',
    "surrogates reversed": '{"a": "\\udc00\\ud800"}',
    "33 levels": '{"a":' * 33 + "1" + "}" * 33,
    "1,000 levels": '{"a":' + "[" * 1000 + "]" * 1000 + "}",
    "100,000 levels": '{"a":' + "[" * 100_000,
    "raw line break": '{"a": "\n"}',
    "comment": '{"a": 1} // one',
}


def _struct(value: Value) -> Payload:
    return Payload(json=Struct(fields={"a": value}))


_BAD_STRUCTS = {
    "NaN": (_struct(Value(number_value=float("nan"))), ".a"),
    "Infinity": (_struct(Value(number_value=float("inf"))), ".a"),
    "NaN in a list": (
        _struct(Value(list_value=ListValue(values=[Value(number_value=float("nan"))]))),
        ".a[0]",
    ),
    "NUL": (_struct(Value(string_value="a\0b")), ""),
    "NUL in a key": (Payload(json=Struct(fields={"\0": Value(bool_value=True)})), ""),
}


async def _refused(jobs: JobServiceStub, queue: str, payload: Payload) -> Refusal:
    request = pb.CreateJobRequest(spec=job_pb2.JobSpec(queue=queue, input=payload))
    return await refused(jobs.CreateJob(request))


@pytest.mark.parametrize("text", _BAD_TEXTS.values(), ids=_BAD_TEXTS.keys())
async def test_text_that_is_no_payload_is_refused(
    jobs: JobServiceStub, queue: str, tables: Tables, text: str
) -> None:
    before = await tables()
    refusal = await _refused(jobs, queue, Payload(json_text=text))
    assert refusal.what == (_INVALID, "PAYLOAD_REJECTED")
    assert refusal.fields == ["spec.input.json_text"]
    assert await tables() == before


@pytest.mark.parametrize("number", ["1e400", "-1e999", _DIGITS])
async def test_number_beyond_a_double_is_refused_by_its_place(
    jobs: JobServiceStub, queue: str, tables: Tables, number: str
) -> None:
    before = await tables()
    refusal = await _refused(jobs, queue, Payload(json_text=f'{{"a": [{{"b": {number}}}]}}'))
    assert refusal.what == (_INVALID, "PAYLOAD_REJECTED")
    assert refusal.fields == ["spec.input.json_text.a[0].b"]
    assert await tables() == before


@pytest.mark.parametrize(("payload", "place"), _BAD_STRUCTS.values(), ids=_BAD_STRUCTS.keys())
async def test_struct_that_is_no_payload_is_refused(
    jobs: JobServiceStub, queue: str, tables: Tables, payload: Payload, place: str
) -> None:
    before = await tables()
    refusal = await _refused(jobs, queue, payload)
    assert refusal.what == (_INVALID, "PAYLOAD_REJECTED")
    assert refusal.fields == [f"spec.input.json{place}"]
    assert await tables() == before


def _text_of_bytes(count: int) -> str:
    """An object of exactly so many bytes as JSON text, most of them in two-byte characters."""
    letters, rest = divmod(count - len('{"a":""}'), 2)
    return json.dumps({"a": "ä" * letters + "x" * rest}, ensure_ascii=False, separators=(",", ":"))


def _spelled(text: str, as_struct: bool) -> Payload:
    payload = Payload() if as_struct else Payload(json_text=text)
    if as_struct:
        payload.json.update(json.loads(text))
    return payload


@pytest.mark.parametrize("as_struct", [False, True])
async def test_largest_payload_comes_back_whole(
    create: Create, jobs: JobServiceStub, as_struct: bool
) -> None:
    text = _text_of_bytes(_MAX_BYTES)
    assert len(text.encode()) == _MAX_BYTES
    job = await create(input=_spelled(text, as_struct))
    request = pb.GetJobRequest(job_id=job.id, payload_encoding=PAYLOAD_ENCODING_JSON_TEXT)
    assert (await jobs.GetJob(request)).job.spec.input.json_text == text


@pytest.mark.parametrize("as_struct", [False, True])
async def test_one_byte_more_is_too_large(
    jobs: JobServiceStub, queue: str, tables: Tables, as_struct: bool
) -> None:
    before = await tables()
    payload = _spelled(_text_of_bytes(_MAX_BYTES + 1), as_struct)
    refusal = await _refused(jobs, queue, payload)
    assert refusal.what == (_INVALID, "PAYLOAD_TOO_LARGE")
    assert refusal.fields == ["spec.input"]
    assert await tables() == before


@pytest.mark.parametrize("as_struct", [False, True])
async def test_32_levels_come_back_in_both_spellings(
    create: Create, jobs: JobServiceStub, as_struct: bool
) -> None:
    text = '{"a":' * 32 + "1" + "}" * 32
    job = await create(input=_spelled(text, as_struct))
    read = pb.GetJobRequest(job_id=job.id, payload_encoding=PAYLOAD_ENCODING_JSON_TEXT)
    assert (await jobs.GetJob(read)).job.spec.input.json_text == text
    read = pb.GetJobRequest(job_id=job.id)
    struct = (await jobs.GetJob(read)).job.spec.input.json
    for _ in range(31):
        struct = struct["a"]
    assert struct["a"] == 1


_EXACT = {
    "many digits": '{"a": 123456789012345678901234567890, "b": 0.10000000000000000000001}',
    "as many digits as a double has": f'{{"a": {"9" * 308}, "b": 1e308, "c": 1e-999}}',
    "brackets in a text": '{"a": "' + "[" * 500 + '"}',
    "surrogate pair": '{"a": "\\ud83d\\ude00"}',
    "backslash before a bracket": '{"a\\"[": "\\\\"}',
    "white space": ' {\n"b" : 1 ,\t"a" : [ ] } ',
}


@pytest.mark.parametrize("text", _EXACT.values(), ids=_EXACT.keys())
async def test_text_comes_back_as_it_was_sent(
    create: Create, jobs: JobServiceStub, text: str
) -> None:
    job = await create(input=Payload(json_text=text))
    read = pb.GetJobRequest(job_id=job.id, payload_encoding=PAYLOAD_ENCODING_JSON_TEXT)
    assert (await jobs.GetJob(read)).job.spec.input.json_text == text
    # The other spelling holds it as well as a Struct can.
    assert (await jobs.GetJob(pb.GetJobRequest(job_id=job.id))).job.spec.input.HasField("json")


def _schema(definition: dict[str, Any]) -> PayloadSchema:
    schema = PayloadSchema()
    schema.json_schema.update(definition)
    return schema


_ARTICLE = {
    "type": "object",
    "required": ["url"],
    "properties": {
        "url": {"type": "string", "maxLength": 20},
        "pages": {"type": "array", "items": {"type": "integer"}},
    },
}


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("{}", ["spec.input"]),
        ('{"url": 1}', ["spec.input.url"]),
        (
            '{"url": "u", "pages": [1, "two", 3, null]}',
            ["spec.input.pages[1]", "spec.input.pages[3]"],
        ),
        ('{"url": "012345678901234567890"}', ["spec.input.url"]),
    ],
)
async def test_input_that_does_not_fit_the_schema_is_rejected_by_its_path(
    declare: Callable[..., Awaitable[Any]],
    jobs: JobServiceStub,
    tables: Tables,
    text: str,
    paths: list[str],
) -> None:
    await declare(input_schema=_schema(_ARTICLE))
    before = await tables()
    for validate_only in (True, False):
        spec = job_pb2.JobSpec(queue="q", input=Payload(json_text=text))
        request = pb.CreateJobRequest(spec=spec, validate_only=validate_only)
        refusal = await refused(jobs.CreateJob(request))
        assert refusal.what == (_INVALID, "PAYLOAD_REJECTED")
        assert refusal.fields == paths
    assert await tables() == before


@pytest.mark.parametrize("payload", [None, Payload(json_text="{}"), Payload(json={})])
async def test_empty_input_is_an_object_to_a_reader_of_text(
    create: Create, jobs: JobServiceStub, payload: Payload | None
) -> None:
    job = await create(input=payload)
    read = pb.GetJobRequest(job_id=job.id, payload_encoding=PAYLOAD_ENCODING_JSON_TEXT)
    assert (await jobs.GetJob(read)).job.spec.input == Payload(json_text="{}")
    # A Struct may be unset, as it was before.
    assert not (await jobs.GetJob(pb.GetJobRequest(job_id=job.id))).job.spec.HasField("input")


async def test_unset_input_is_the_empty_object_to_the_schema(
    declare: Callable[..., Awaitable[Any]], jobs: JobServiceStub
) -> None:
    await declare(input_schema=_schema(_ARTICLE))
    request = pb.CreateJobRequest(spec=job_pb2.JobSpec(queue="q"))
    refusal = await refused(jobs.CreateJob(request))
    assert refusal.fields == ["spec.input"]


async def test_input_that_fits_the_schema_is_accepted(
    create: Create, declare: Callable[..., Awaitable[Any]]
) -> None:
    await declare(input_schema=_schema(_ARTICLE))
    # 1.0 is an integer to JSON Schema.
    assert (await create(input=Payload(json_text='{"url": "u", "pages": [1.0, 2]}'))).id
