"""When certificates begin and end. Pure, and without a library for the rest of what is in them."""

import base64
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

_PEM = re.compile(
    rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----(.+?)-----END (?:X509 |TRUSTED )?CERTIFICATE",
    re.DOTALL,
)
#: Tags of DER (X.690): those that a certificate has up to its dates, which have one of the last.
_SEQUENCE, _VERSION, _INTEGER, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0xA0, 0x02, 0x17, 0x18
#: RFC 5280, 4.1.2.5.1: a year of two digits is of this century below it.
_CENTURY = 50


class Validity(NamedTuple):
    """When a certificate begins and ends."""

    begin: datetime
    end: datetime


def validities(pem: bytes) -> list[Validity]:
    """Returns when each certificate of a PEM text begins and ends, in their order.

    Raises:
        ValueError: one of them is malformed. There may be none.
    """
    try:
        return [_validity(base64.b64decode(found)) for found in _PEM.findall(pem)]
    except (ValueError, IndexError):
        raise ValueError("a certificate is malformed") from None


def _validity(der: bytes) -> Validity:
    """RFC 5280, 4.1: version, serial number, signature and issuer come before the validity."""
    ((_, certificate),) = _parts(der)
    (_, signed), *_ = _parts(certificate)
    fields = [part for part in _parts(signed) if part[0] != _VERSION]
    (serial, _), _, _, (tag, dates) = fields[:4]
    if serial != _INTEGER or tag != _SEQUENCE:
        raise ValueError
    begin, end = [_time(*part) for part in _parts(dates)]
    return Validity(begin, end)


def _parts(der: bytes) -> Iterator[tuple[int, bytes]]:
    """The tag and the content of each value in a row."""
    at = 0
    while at < len(der):
        tag, length, at = der[at], der[at + 1], at + 2
        if length > 0x7F:  # in so many bytes
            count = length & 0x7F
            length, at = int.from_bytes(der[at : at + count]), at + count
        if at + length > len(der):
            raise ValueError
        yield tag, der[at : at + length]
        at += length


def _time(tag: int, content: bytes) -> datetime:
    text = content.decode("ascii")
    if tag == _UTC_TIME:
        text = f"{'20' if int(text[:2]) < _CENTURY else '19'}{text}"
    elif tag != _GENERALIZED_TIME:
        raise ValueError
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
