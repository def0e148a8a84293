"""Input and output of the news-analyzer: the JSON of its payloads."""

from typing import Annotated

import msgspec
from msgspec import Meta

Text = Annotated[
    str,
    Meta(min_length=1, max_length=1_000_000, description="The article as plain text."),
]
Html = Annotated[
    str,
    Meta(min_length=1, max_length=2_000_000, description="The article's page as HTML."),
]
Url = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=2048,
        description="Address of the article: http, https or file.",
    ),
]
LanguageHint = Annotated[
    str,
    Meta(
        pattern="^[a-z]{2,3}$",
        description="ISO 639 code of the article's language; detected when not given.",
    ),
]
KeywordLimit = Annotated[int, Meta(ge=0, le=50, description="Maximum number of keywords.")]
SentenceLimit = Annotated[int, Meta(ge=0, le=20, description="Maximum number of sentences.")]


class ArticleInput(
    msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True
):
    """The article to analyse: exactly one of `articleText`, `articleUrl` and `html`.

    Raises ValueError when none or several of them are given.
    """

    article_text: Text | None = None
    article_url: Url | None = None
    html: Html | None = None
    language: LanguageHint | None = None
    max_keywords: KeywordLimit = 10
    max_sentences: SentenceLimit = 3

    def __post_init__(self) -> None:
        given = [self.article_text, self.article_url, self.html]
        if sum(value is not None for value in given) != 1:
            raise ValueError("give exactly one of articleText, articleUrl and html")


class Source(msgspec.Struct, frozen=True, rename="camel"):
    """The document that was read. `url` is its address after redirects, None for text in the input.

    `bytes` and `sha256` (hexadecimal) are those of the document, its content
    encoding undone; text in the input counts as UTF-8.
    """

    url: str | None
    content_type: str
    charset: str
    bytes: int
    sha256: str


class Language(msgspec.Struct, frozen=True, rename="camel"):
    """`code` is ISO 639-1, ISO 639-3 for languages without one, "und" when unknown.

    `confidence` is the detector's probability, 0 to 1; 1 for a given hint.
    """

    code: str
    confidence: float


class Counts(msgspec.Struct, frozen=True, rename="camel"):
    """Sizes of the main text. In scripts without spaces each character is a word."""

    characters: int
    words: int
    sentences: int
    paragraphs: int


class ReadabilityScore(msgspec.Struct, frozen=True, rename="camel"):
    """One readability measure: the name of its formula, its value and the meaning of that."""

    formula: str
    value: float
    level: str


class Keyword(msgspec.Struct, frozen=True, rename="camel"):
    """A word or phrase, how often it occurs, and its score: 1 is the article's highest."""

    text: str
    score: float
    count: int


class SummarySentence(msgspec.Struct, frozen=True, rename="camel"):
    """A sentence of the article, its position there (from 0) and its score: 1 is the highest."""

    text: str
    position: int
    score: float


class Analysis(msgspec.Struct, frozen=True, rename="camel"):
    """The analysis of an article; the same input gives the same analysis.

    `published_date` is YYYY-MM-DD. `readability` is empty where no formula
    fits the language. `keywords` come best first, `summary` in the order of the text.
    """

    title: str | None
    author: str | None
    site_name: str | None
    published_date: str | None
    language: Language
    counts: Counts
    reading_time_seconds: int
    readability: list[ReadabilityScore]
    keywords: list[Keyword]
    summary: list[SummarySentence]
    source: Source
