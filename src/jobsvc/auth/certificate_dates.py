"""Until when a certificate is valid. The standard library has no reader of certificates, and a
server needs no other package for TLS: so the few fields before the date are skipped here."""

import re
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

_SEQUENCE, _VERSION, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18
_FIRST = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class _Field(NamedTuple):
    tag: int
    content: bytes


def not_after(pem: bytes) -> datetime:
    """Returns when the first certificate of a file ends to be valid (RFC 5280, 4.1).

    Raises:
        ValueError: it is no certificate.
    """
    found = _FIRST.search(pem)
    if found is None:
        raise ValueError("there is no certificate")
    (certificate,) = _fields(ssl.PEM_cert_to_DER_cert(found[0].decode("ascii")))
    signed, *_ = _fields(certificate.content)
    # A version (from the second on), the serial number, the algorithm, who signed it.
    fields = [field for field in _fields(signed.content) if field.tag != _VERSION]
    if len(fields) < 4 or fields[3].tag != _SEQUENCE:
        raise ValueError("a certificate without dates")
    _, end = _fields(fields[3].content)
    return _time(end)


def _fields(content: bytes) -> Iterator[_Field]:
    """The fields of a sequence, by the distinguished encoding rules (X.690)."""
    while content:
        if len(content) < 2:
            raise ValueError("a field that is cut")
        tag, size, start = content[0], content[1], 2
        if size & 0x80:
            start += size & 0x7F
            size = int.from_bytes(content[2:start], "big")
        if len(content) < start + size:
            raise ValueError("a field that is cut")
        yield _Field(tag, content[start : start + size])
        content = content[start + size :]


def _time(field: _Field) -> datetime:
    text = field.content.decode("ascii")
    if field.tag == _UTC_TIME:
        # Two digits: from 50 on of the last century.
        text = ("19" if text >= "50" else "20") + text
    elif field.tag != _GENERALIZED_TIME:
        raise ValueError("a date of another kind")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
