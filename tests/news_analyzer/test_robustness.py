"""For any input, the analysis is complete or the failure has a reason."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobsvc.worker import Fail
from workers.news_analyzer.analysis import analyze_document
from workers.news_analyzer.article import Analysis, ArticleInput
from workers.news_analyzer.document import Document
from workers.news_analyzer.reason import Reason

ANYTHING = ArticleInput(article_text="", max_keywords=50, max_sentences=20)

fragments = st.sampled_from(
    [
        *["<p>", "</p>", "<div>", "</table>", "<td>", "<br/>", "<h1>", "<title>", "<article>"],
        *["<!--", "-->", "<script>", "<![CDATA[", "&#0;", "&#xD800;", "<body", "<a href=", "\0"],
        *["<html lang='", "<meta charset=", "<base href='http://['>", "<img ", "'", '"', ">"],
        *["<?xml version='1.0' encoding='utf-16'?>", "9999-99-99", "]}</script>"],
        *['<script type="application/ld+json">{"@type": "NewsArticle", "author": ['],
        *["<meta property='article:published_time' content='"],
        *["Word. ", "新聞。", "۱۲۳ ", "ไทย", "\ud83d", "\u202e", "e\u0301", "\n\n", " "],
    ]
)
texts = st.one_of(
    st.text(st.characters(), max_size=300),
    st.text("abcA .!?'\n\r-—,0 ", max_size=300),
    st.text("新聞气候。、\uff01\uff1fカナー ", max_size=200),
    st.lists(fragments, max_size=60).map("".join),
    st.lists(st.one_of(fragments, st.text(max_size=10)), max_size=40).map("".join),
)

CHARSETS = ["utf-16", "utf-7", "big5", "cp037", "hz", "hex", "zlib", "rot13", "idna", "undefined"]


def analyze(document: Document) -> Analysis | None:
    percents: list[int] = []

    def step(percent: int, message: str) -> None:
        percents.append(percent)

    try:
        analysis = analyze_document(document, ANYTHING, step)
    except Fail as failure:
        if failure.reason not in {Reason.UNSUPPORTED_CONTENT, Reason.NO_TEXT, Reason.TOO_LARGE}:
            raise
        return None
    assert percents == sorted(percents)
    return analysis


def check(document: Document) -> Analysis | None:
    analysis = analyze(document)
    if analysis is None:
        return None
    assert msgspec.json.decode(msgspec.json.encode(analysis), type=Analysis) == analysis
    counts = analysis.counts
    assert counts.characters >= counts.words >= 1
    assert counts.characters >= counts.sentences >= 1
    assert counts.paragraphs >= 1
    assert analysis.reading_time_seconds >= 1
    assert 0 <= analysis.language.confidence <= 1
    scores = [keyword.score for keyword in analysis.keywords]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    positions = [sentence.position for sentence in analysis.summary]
    assert positions == sorted(set(positions))
    assert len(positions) <= counts.sentences
    assert analyze(document) == analysis
    return analysis


@settings(max_examples=200, deadline=None)
@given(texts)
def test_any_text_is_analysed_or_refused(text: str) -> None:
    check(Document(text.encode("utf-8", "replace"), "text/plain", "utf-8"))


@settings(max_examples=200, deadline=None)
@given(texts)
def test_any_html_is_analysed_or_refused(html: str) -> None:
    check(Document(html.encode("utf-8", "replace"), "text/html", "utf-8"))


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(st.binary(max_size=400), texts.map(lambda text: text.encode("utf-16", "replace"))),
    st.sampled_from(["", "text/html", "text/plain", "application/xhtml+xml", "image/png"]),
    st.one_of(st.none(), st.text(max_size=12), st.sampled_from(CHARSETS)),
)
def test_any_bytes_are_analysed_or_refused(
    body: bytes, content_type: str, charset: str | None
) -> None:
    check(Document(body, content_type, charset, "https://example.com/a"))


@pytest.mark.parametrize(
    "body",
    [
        "<div>" * 10_000 + "Some words. " * 20 + "</div>" * 10_000,
        "<html><body>" + "<p><span>" * 10_000 + "Some words. " * 20,
        "<table><tr><td>" * 3_000 + "Some words. " * 20,
        "<html><body>" + "<br>" * 40_000 + "Some words.",
        "<p" + " a='b'" * 20_000 + ">Some words.",
        "&amp;" * 100_000,
    ],
)
def test_monstrous_html_is_analysed_or_refused(body: str) -> None:
    check(Document(body.encode(), "text/html", "utf-8"))


@pytest.mark.parametrize(
    "text",
    [
        "a" * 500_000,
        "word " * 100_000,
        "Word. " * 50_000,
        "新" * 100_000,
        "12 " * 100_000,
        "a'" * 100_000,
        "a-" * 100_000 + "!",
        "\n" * 200_000 + "word",
        "e" + "\u0301" * 50_000,
        " . " * 100_000 + "word",
        '"' * 100_000 + "word",
        "(" * 50_000 + "word" + ")" * 50_000,
    ],
)
def test_monstrous_text_is_analysed(text: str) -> None:
    assert check(Document(text.encode(), "text/plain", "utf-8")) is not None


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/plain", b""),
        ("text/plain", b" \r\n "),
        ("text/plain", b"..."),
        ("text/html", b""),
        ("text/html", b" \r\n "),
        ("text/html", b"..."),
        ("text/html", b"<p></p>" * 9),
    ],
)
def test_document_without_words_is_refused(content_type: str, body: bytes) -> None:
    with pytest.raises(Fail) as caught:
        analyze_document(Document(body, content_type), ANYTHING, lambda *_: None)
    assert caught.value.reason == "NO_TEXT"


def test_page_of_too_many_elements_is_refused() -> None:
    body = b"<html><body>" + b"<br>" * 60_000 + b"Some words."
    with pytest.raises(Fail) as caught:
        analyze_document(Document(body, "text/html"), ANYTHING, lambda *_: None)
    assert caught.value.reason == "TOO_LARGE"
