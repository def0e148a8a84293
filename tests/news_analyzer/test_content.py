"""Type and charset of a document are found."""

import pytest

from jobsvc.worker import Fail
from workers.news_analyzer.charset import decode
from workers.news_analyzer.document import Document, judge_content_type


@pytest.mark.parametrize(
    ("body", "declared", "expected"),
    [
        ("Grüße".encode(), None, ("Grüße", "utf-8")),
        ("Grüße".encode("latin-1"), "ISO-8859-1", ("Grüße", "cp1252")),
        ("“quoted”".encode("cp1252"), "iso-8859-1", ("“quoted”", "cp1252")),
        (b"\xef\xbb\xbfabc", "iso-8859-1", ("abc", "utf-8")),
        ("Grüße".encode("utf-16"), None, ("Grüße", "utf-16-le")),
        ("новости".encode("koi8-r"), "KOI8-R", ("новости", "koi8-r")),
        ("新闻".encode("gb18030"), "gb2312", ("新闻", "gb18030")),
        # A declaration that does not fit gives way to one that does.
        ("Grüße".encode(), "us-ascii", ("Grüße", "utf-8")),
        ("abcü".encode(), "utf-32", ("abcü", "utf-8")),
        (b"abc\xff", "utf-8", ("abc\N{REPLACEMENT CHARACTER}", "utf-8")),
        (b"abc", "no-such-charset", ("abc", "utf-8")),
        (b"6162", "hex", ("6162", "utf-8")),
        (b"\\x41", "unicode_escape", ("\\x41", "utf-8")),
        (b"", None, ("", "utf-8")),
    ],
)
def test_text_is_decoded(body: bytes, declared: str | None, expected: tuple[str, str]) -> None:
    assert decode(body, declared, is_html=False) == expected


@pytest.mark.parametrize(
    "declaration",
    [
        b'<meta charset="windows-1251">',
        b"<meta http-equiv=Content-Type content='text/html; charset=windows-1251'>",
        b'<?xml version="1.0" encoding="windows-1251"?>',
    ],
)
def test_html_names_its_own_charset(declaration: bytes) -> None:
    body = declaration + "новости".encode("cp1251")
    assert decode(body, None, is_html=True)[1] == "cp1251"
    assert "новости" in decode(body, "", is_html=True)[0]


@pytest.mark.parametrize(
    ("document", "content_type"),
    [
        (Document(b"<p>", "text/html"), "text/html"),
        (Document(b"<p>", "text/plain"), "text/plain"),
        (Document(b"\n <!DOCTYPE html><p>", ""), "text/html"),
        (Document(b"\xef\xbb\xbf<HTML>", ""), "text/html"),
        (Document(b"words", ""), "text/plain"),
        (Document("words".encode("utf-16"), "text/plain"), "text/plain"),
    ],
)
def test_content_is_supported(document: Document, content_type: str) -> None:
    assert judge_content_type(document) == content_type


@pytest.mark.parametrize(
    "document",
    [
        Document(b"%PDF-1.7", "application/pdf"),
        Document(b"{}", "application/json"),
        Document(b"\x89PNG\r\n\x1a\n\0\0\0", ""),
        Document(b"\x7fELF\0\0", "text/plain"),
    ],
)
def test_content_is_not_supported(document: Document) -> None:
    with pytest.raises(Fail) as caught:
        judge_content_type(document)
    assert caught.value.reason == "UNSUPPORTED_CONTENT"
