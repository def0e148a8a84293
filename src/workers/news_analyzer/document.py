"""A document as it was read, before it is decoded."""

from dataclasses import dataclass

from workers.news_analyzer.reason import Reason, reject

HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})
TEXT_TYPES = frozenset({"text/plain", "text/markdown", "text/x-markdown"})

_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Document:
    """The bytes of a document, and their type as its source gives it.

    `content_type` is a media type in lower case without parameters, "" when
    the source names none; `charset` is its parameter.
    """

    body: bytes
    content_type: str
    charset: str | None = None
    url: str | None = None


def judge_content_type(document: Document) -> str:
    """Returns the media type to read the document by: one of HTML_TYPES or TEXT_TYPES.

    A source that names no type is judged by the first bytes. Raises Fail
    (UNSUPPORTED_CONTENT) for every other type, and for binary data under a text type.
    """
    head = document.body[:1024]
    if b"\0" in head and not head.startswith(_UTF16_MARKS) and not _is_utf16(document.charset):
        raise reject(Reason.UNSUPPORTED_CONTENT, "the document is binary, not HTML or text")
    if document.content_type in HTML_TYPES | TEXT_TYPES:
        return document.content_type
    if document.content_type:
        raise reject(
            Reason.UNSUPPORTED_CONTENT,
            f"{document.content_type[:100]} is not supported, only HTML and plain text",
        )
    beginning = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return "text/html" if beginning.startswith((b"<!doctype html", b"<html")) else "text/plain"


def _is_utf16(charset: str | None) -> bool:
    return charset is not None and charset.lower().startswith(("utf-16", "utf16"))
