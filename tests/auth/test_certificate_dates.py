"""Until when a certificate is valid, as the library for certificates says it, too."""

import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.auth.certificate_dates import not_after
from jobsvc.auth.dev_certs import Authority
from tests.support.certificates import HOST

_KEY = ec.generate_private_key(ec.SECP256R1())
_NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a")])


def certificate(end: datetime, serial: int = 7) -> bytes:
    """A certificate that ends then."""
    made = (
        x509.CertificateBuilder(_NAME, _NAME, _KEY.public_key(), serial)
        .not_valid_before(datetime(1950, 1, 2))
        .not_valid_after(end)
        .sign(_KEY, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


# Two digits of the year until 2049, four from then on; serial numbers of up to 20 bytes.
@given(st.datetimes(datetime(1951, 1, 1), datetime(2200, 1, 1)), st.integers(1, (1 << 159) - 1))
def test_end_of_a_certificate_is_read(end: datetime, serial: int) -> None:
    end = end.replace(microsecond=0)
    assert not_after(certificate(end, serial)) == end.replace(tzinfo=UTC)


def test_first_of_a_chain_counts() -> None:
    authority = Authority()
    own, _ = authority.sign("server", HOST, is_server=True, life=timedelta(days=3))
    expected = x509.load_pem_x509_certificate(own).not_valid_after_utc
    assert not_after(b"text before\n" + own + authority.certificate) == expected


@given(st.binary(max_size=60))
def test_what_is_no_certificate_is_told_so(garbage: bytes) -> None:
    for pem in (garbage, ssl.DER_cert_to_PEM_cert(garbage).encode()):
        with pytest.raises(ValueError, match=r"certificate|field|unpack|time data|codec|date"):
            not_after(pem)
