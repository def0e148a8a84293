"""When a certificate ends, as another parser says it too."""

import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.auth.certificate_end import certificate_end

_KEY = ec.generate_private_key(ec.SECP256R1())
_FIRST = datetime(1951, 1, 1, tzinfo=UTC)


def _certificate(end: datetime, names: int = 1) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "n" * 60)] * names)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(_KEY.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_FIRST)
        .not_valid_after(end)
        .sign(_KEY, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )


# Before 2050 times have two digits for the year, from then on four.
@given(
    st.datetimes(datetime(1951, 1, 2), datetime(9999, 12, 31), timezones=st.just(UTC)),
    st.integers(0, 5),
)
def test_end_is_that_of_another_parser(end: datetime, names: int) -> None:
    pem = _certificate(end.replace(microsecond=0), names)
    parsed = x509.load_pem_x509_certificate(pem).not_valid_after_utc
    assert certificate_end(pem) == parsed.timestamp()


@given(st.integers(0, 200))
def test_what_is_cut_off_is_no_certificate(size: int) -> None:
    der = ssl.PEM_cert_to_DER_cert(_certificate(_FIRST + timedelta(days=1)).decode())
    with pytest.raises(ValueError, match="certificate"):
        certificate_end(ssl.DER_cert_to_PEM_cert(der[:size]).encode())


@given(st.binary(max_size=300))
def test_garbage_is_no_certificate(data: bytes) -> None:
    for pem in (data, ssl.DER_cert_to_PEM_cert(data).encode()):
        with pytest.raises(ValueError):  # noqa: PT011  # whichever way it is none
            certificate_end(pem)
