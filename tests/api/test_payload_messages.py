"""Payloads between their two spellings on the wire and the text that is stored."""

import json
import math
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.api.convert.payloads import JSON_TEXT, payload_text, struct_dict, write_payload
from jobsvc.domain.canonical import canonical
from jobsvc.domain.errors import PayloadRejected, PayloadTooLarge
from jobsvc.domain.payload import MAX_LEVELS, PayloadInvalid
from jobsvc.v1 import job_pb2, payload_pb2, worker_service_pb2
from jobsvc.v1 import job_service_pb2 as service_pb
from tests.support.payloads import TEXT, nested

#: What a Struct can carry: doubles, and integers that are exact as doubles.
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
)
OBJECTS = st.dictionaries(TEXT, VALUES, max_size=5)
STRUCT = payload_pb2.PAYLOAD_ENCODING_JSON


def text_of(
    payload: payload_pb2.Payload | None, most: int = 100_000
) -> tuple[str | None, dict[str, Any]]:
    return payload_text(payload, "spec.input", most)


def payload_message(text: str | None, encoding: int) -> payload_pb2.Payload:
    message = payload_pb2.Payload()
    write_payload(message, text, encoding)
    return message


def struct_of(value: dict[str, Any]) -> payload_pb2.Payload:
    payload = payload_pb2.Payload(json=Struct())
    payload.json.update(value)
    return payload


@given(OBJECTS)
def test_both_spellings_are_the_same_object(value: dict[str, Any]) -> None:
    by_text, read_text = text_of(payload_pb2.Payload(json_text=json.dumps(value)))
    by_struct, read_struct = text_of(struct_of(value))
    assert read_text == read_struct == value
    assert canonical(read_text) == canonical(read_struct)
    assert (by_text is None) == (by_struct is None) == (not value)


@given(OBJECTS)
def test_stored_text_is_sent_in_either_spelling(value: dict[str, Any]) -> None:
    text, _ = text_of(payload_pb2.Payload(json_text=json.dumps(value)))
    as_text, as_struct = payload_message(text, JSON_TEXT), payload_message(text, STRUCT)
    assert as_text.WhichOneof("encoding") == "json_text"
    assert json.loads(as_text.json_text) == value
    assert as_struct.WhichOneof("encoding") == "json"
    assert as_struct == struct_of(value)
    assert struct_dict(as_struct.json) == value
    assert payload_message(text, 0) == as_struct


@given(OBJECTS)
def test_struct_survives_the_store(value: dict[str, Any]) -> None:
    text, read = text_of(struct_of(value))
    assert text_of(payload_message(text, STRUCT))[1] == read


def test_text_is_kept_as_it_came() -> None:
    text = '{ "b": 1.50, "a": 123456789012345678901234567890 }'
    assert text_of(payload_pb2.Payload(json_text=text))[0] == text


def test_unset_payload_is_the_empty_object() -> None:
    assert text_of(None) == (None, {})
    assert payload_message(None, JSON_TEXT).json_text == "{}"
    assert MessageToDict(payload_message(None, STRUCT)) == {"json": {}}


def test_whole_numbers_of_a_struct_are_stored_as_integers() -> None:
    for value, text in (
        (1, "1"),
        (0.5, "0.5"),
        (True, "true"),
        (2**60, f"{2**60}"),
        (2.0**80, "1.2089258196146292e+24"),
    ):
        assert text_of(struct_of({"a": value}))[0] == f'{{"a":{text}}}'


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_struct_without_a_finite_number_is_refused(number: float) -> None:
    for value, place in (({"a": number}, ".a"), ({"a": [0, {"b": number}]}, ".a[1].b")):
        with pytest.raises(PayloadRejected) as refused:
            text_of(struct_of(value))
        assert refused.value.violations[0].field == f"spec.input.json{place}"
        with pytest.raises(PayloadInvalid):
            struct_dict(struct_of(value).json)


@pytest.mark.parametrize("value", [{"a": "\0"}, {"\0": 1}, {"a": [{"b": "x\0y"}]}])
def test_struct_with_a_nul_is_refused(value: dict[str, Any]) -> None:
    with pytest.raises(PayloadRejected, match="NUL"):
        text_of(struct_of(value))


def test_rejected_text_is_named_with_its_place() -> None:
    with pytest.raises(PayloadRejected) as refused:
        text_of(payload_pb2.Payload(json_text="[1]"))
    (violation,) = refused.value.violations
    assert violation.field == "spec.input.json_text"
    assert violation.description == "is not a JSON object"


@pytest.mark.parametrize("letter", ["x", "ß", "\U0001f600"])
def test_size_is_counted_in_bytes(letter: str) -> None:
    text = json.dumps({"a": letter * 20}, ensure_ascii=False)
    size = len(text.encode())
    for payload in (payload_pb2.Payload(json_text=text), struct_of({"a": letter * 20})):
        with pytest.raises(PayloadTooLarge) as refused:
            text_of(payload, 20)
        assert refused.value.violations[0].field == "spec.input"
    assert text_of(payload_pb2.Payload(json_text=text), size)[0] == text
    with pytest.raises(PayloadTooLarge):
        text_of(payload_pb2.Payload(json_text=text), size - 1)


@pytest.mark.parametrize("encoding", [STRUCT, JSON_TEXT])
def test_deepest_payload_can_be_decoded_wherever_it_travels(encoding: int) -> None:
    payload = payload_message(nested(MAX_LEVELS), encoding)
    create = service_pb.CreateJobRequest(spec=job_pb2.JobSpec(queue="q", input=payload))
    success = worker_service_pb2.JobSuccess(output=payload)
    report = worker_service_pb2.ReportOutcomesRequest(
        outcomes=[worker_service_pb2.JobOutcome(success=success)]
    )
    for message in (
        service_pb.BatchCreateJobsRequest(requests=[create]),
        worker_service_pb2.WorkRequest(report_outcomes=report),
        service_pb.GetJobResponse(job=job_pb2.Job(spec=create.spec)),
    ):
        assert type(message).FromString(message.SerializeToString()) == message
