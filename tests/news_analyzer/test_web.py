"""URLs and headers are parsed."""

from datetime import UTC, datetime

import pytest

from jobsvc.worker import Fail
from workers.news_analyzer.web import parse_content_type, parse_retry_after, parse_web_url


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("ftp://example.com/a", "SCHEME_NOT_ALLOWED"),
        ("javascript:alert(1)", "SCHEME_NOT_ALLOWED"),
        ("example.com/a", "SCHEME_NOT_ALLOWED"),
        ("", "SCHEME_NOT_ALLOWED"),
        ("http://", "URL_INVALID"),
        ("http://me:secret@example.com/", "URL_INVALID"),
        ("http://example.com:99999/", "URL_INVALID"),
    ],
)
def test_address_is_refused(address: str, reason: str) -> None:
    with pytest.raises(Fail) as caught:
        parse_web_url(address)
    assert caught.value.reason == reason


def test_address_is_made_ascii() -> None:
    url = parse_web_url("HTTP://Bücher.example/ä b?q=ö")
    assert url.url == "http://xn--bcher-kva.example/%C3%A4%20b?q=%C3%B6"


NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 5 ", 5),
        ("Thu, 01 Jan 2026 00:01:00 GMT", 60),
        ("Thu, 01 Jan 2026 00:01:00 -0000", 60),
        ("Wed, 31 Dec 2025 00:00:00 GMT", 0),
        ("", None),
        ("-3", None),
        ("soon", None),
        ("\u0663", None),
    ],
)
def test_retry_after_is_read(value: str, seconds: float | None) -> None:
    assert parse_retry_after(value, NOW) == seconds


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", ("", None)),
        ("text/html", ("text/html", None)),
        ('Text/HTML; Charset="UTF-8"', ("text/html", "utf-8")),
        ("text/plain;;charset", ("text/plain", "")),
    ],
)
def test_content_type_is_read(header: str, expected: tuple[str, str | None]) -> None:
    assert parse_content_type(header) == expected
