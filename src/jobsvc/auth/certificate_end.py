"""When the certificate of a peer ends. The standard library has no parser for certificates, and
`cryptography` is in an extra."""

import ssl
from datetime import UTC, datetime
from functools import lru_cache

#: Tags of DER, as X.690 and RFC 5280 (4.1) have them.
_VERSION = 0xA0
_UTC_TIME = 0x17
_GENERALIZED_TIME = 0x18
#: From this year of the century on, UTCTime is one of 19xx.
_PIVOT_YEAR = 50


@lru_cache(maxsize=4096)
def certificate_end(pem: bytes) -> float:
    """Returns when a certificate (PEM) ends, in seconds since 1970: its notAfter.

    Raises:
        ValueError: it is no certificate.
    """
    try:
        der = ssl.PEM_cert_to_DER_cert(pem.decode("ascii"))
        certificate = _value(der, 0)
        fields = _value(certificate, 0)
        offset = 0
        if fields[0] == _VERSION:
            offset = _next(fields, offset)
        for _ in ("serialNumber", "signature", "issuer"):
            offset = _next(fields, offset)
        validity = _value(fields, offset)
        not_after = _next(validity, 0)
        return _time(validity[not_after], _value(validity, not_after))
    except IndexError:
        raise ValueError("the certificate is cut off") from None


def _extent(data: bytes, offset: int) -> tuple[int, int]:
    """Where the value of an element begins and ends."""
    length, begin = data[offset + 1], offset + 2
    if length & 0x80:
        octets = length & 0x7F
        length = int.from_bytes(data[begin : begin + octets], "big")
        begin += octets
    if begin + length > len(data):
        raise IndexError
    return begin, begin + length


def _value(data: bytes, offset: int) -> bytes:
    begin, end = _extent(data, offset)
    return data[begin:end]


def _next(data: bytes, offset: int) -> int:
    return _extent(data, offset)[1]


def _time(tag: int, value: bytes) -> float:
    text = value.decode("ascii")
    if tag == _UTC_TIME:
        text = ("19" if int(text[:2]) >= _PIVOT_YEAR else "20") + text
    elif tag != _GENERALIZED_TIME:
        raise ValueError("the certificate has no time")
    # By RFC 5280 both are in UTC, and to the second.
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()
