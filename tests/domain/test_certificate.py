"""Dates of certificates are those that a library for certificates reads."""

from base64 import encodebytes
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.domain.certificate import Validity, validities

_KEY = ec.generate_private_key(ec.SECP256R1())
_MOMENTS = st.datetimes(datetime(1960, 1, 1), datetime(2200, 1, 1)).map(
    lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
)


def pem(begin: datetime, end: datetime, name: str = "a", serial: int = 1) -> bytes:
    """A certificate with these dates."""
    named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder().subject_name(named).issuer_name(named)
    builder = builder.public_key(_KEY.public_key()).serial_number(serial)
    signed = builder.not_valid_before(begin).not_valid_after(end).sign(_KEY, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


@given(st.lists(st.tuples(_MOMENTS, _MOMENTS).map(sorted), max_size=3), st.text(min_size=1))
def test_dates_are_those_of_the_certificates_in_their_order(
    moments: list[list[datetime]], between: str
) -> None:
    texts = [pem(begin, end, "n" * 60, 2**150) for begin, end in moments]
    found = validities(between.encode().replace(b"-", b"").join([b"", *texts, b""]))
    assert found == [Validity(begin, end) for begin, end in moments]


def test_text_without_certificates_has_no_dates() -> None:
    assert validities(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n") == []


@given(st.binary(max_size=400))
def test_damaged_certificate_is_refused(damage: bytes) -> None:
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    der = x509.load_pem_x509_certificate(pem(begin, begin + timedelta(1))).public_bytes(
        serialization.Encoding.DER
    )
    for broken in (damage, der[: len(damage) % 90]):
        with pytest.raises(ValueError, match="a certificate is malformed"):
            validities(_as_pem(broken))


def _as_pem(der: bytes) -> bytes:
    return b"-----BEGIN CERTIFICATE-----\n" + encodebytes(der) + b"-----END CERTIFICATE-----\n"
