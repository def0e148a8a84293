"""Only a status that is ours counts as it is; what a proxy says of itself becomes a sentence."""

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.call_status import read_status

CODES = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]
#: Without details these say what they mean.
PLAIN = {
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.UNIMPLEMENTED,
}


def trailers(code: grpc.StatusCode, domain: str) -> tuple[tuple[str, bytes], ...]:
    status = status_pb2.Status(code=code.value[0], message="said")
    status.details.add().Pack(error_details_pb2.ErrorInfo(domain=domain, reason="WHY"))
    return (("grpc-status-details-bin", status.SerializeToString()),)


@given(sent=st.sampled_from(CODES), received=st.sampled_from(CODES), text=st.text())
def test_code_in_our_details_counts(
    sent: grpc.StatusCode, received: grpc.StatusCode, text: str
) -> None:
    status = read_status(received, text, trailers(sent, "jobsvc"))
    assert (status.code, status.message) == (sent, "said")
    assert status.info is not None
    assert status.info.reason == "WHY"


@given(
    code=st.sampled_from(CODES),
    text=st.text(alphabet="abc ") | st.just("Received RST_STREAM with error code 2"),
    details=st.sampled_from(["none", "garbled", "foreign"]),
)
def test_any_other_status_is_a_broken_connection(
    code: grpc.StatusCode, text: str, details: str
) -> None:
    trailing = {
        "none": (),
        "garbled": (("grpc-status-details-bin", b"\xff"),),
        "foreign": trailers(code, "somebody.else"),
    }[details]
    status = read_status(code, text, trailing)
    assert status.info is None
    assert status.code is (code if code in PLAIN else grpc.StatusCode.UNAVAILABLE)
    assert text in status.message


@pytest.mark.parametrize(
    ("http", "code", "setting"),
    [
        (413, grpc.StatusCode.RESOURCE_EXHAUSTED, "client_max_body_size"),
        (502, grpc.StatusCode.UNAVAILABLE, "grpc_buffer_size"),
        (503, grpc.StatusCode.UNAVAILABLE, "no server that is up"),
        (504, grpc.StatusCode.UNAVAILABLE, "grpc_read_timeout"),
    ],
)
def test_answer_of_a_proxy_is_a_sentence(http: int, code: grpc.StatusCode, setting: str) -> None:
    for received in (grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNAVAILABLE):
        status = read_status(received, f"Received http2 header with status: {http}", ())
        assert status.code is code
        assert setting in status.message
        assert f"HTTP {http}" in status.message


def test_what_grpc_refuses_for_its_size_is_no_broken_connection() -> None:
    exhausted = grpc.StatusCode.RESOURCE_EXHAUSTED
    for text in (
        "CLIENT: Received message larger than max (5 vs. 4)",
        "received metadata size exceeds hard limit (value length 20000 vs. 16384)",
    ):
        assert read_status(exhausted, text, ()).code is exhausted
    assert read_status(exhausted, "Bandwidth exhausted", ()).code is grpc.StatusCode.UNAVAILABLE
