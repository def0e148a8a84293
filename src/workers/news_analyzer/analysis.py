"""Analyses a document, step by step. No I/O."""

from collections.abc import Callable
from hashlib import sha256

from workers.news_analyzer.article import Analysis, ArticleInput, Language, Source
from workers.news_analyzer.charset import decode
from workers.news_analyzer.document import HTML_TYPES, Document, judge_content_type
from workers.news_analyzer.keywords import find_keywords
from workers.news_analyzer.language import detect_language
from workers.news_analyzer.main_text import extract_html, extract_plain
from workers.news_analyzer.measure import count_text, estimate_reading_seconds, rate_readability
from workers.news_analyzer.reason import Reason, reject
from workers.news_analyzer.summary import summarise
from workers.news_analyzer.terms import find_terms, load_stop_words
from workers.news_analyzer.words import find_words, split_sentences

# Keywords and summary are made from so much of a text; sizes and readability from all of it.
_RANKED_CHARACTERS = 100_000

Step = Callable[[int, str], None]


def analyze_document(document: Document, article: ArticleInput, step: Step) -> Analysis:
    """Returns the analysis of a document; `article` limits its length.

    `step` is called before each step with the percentage done and the name of
    the step; it may raise to stop. Raises Fail (UNSUPPORTED_CONTENT, TOO_LARGE, NO_TEXT).
    """
    step(30, "extracting")
    content_type = judge_content_type(document)
    is_html = content_type in HTML_TYPES
    text, charset = decode(document.body, document.charset, is_html=is_html)
    main = extract_html(text, document.url) if is_html else extract_plain(text)
    whole = "\n".join(main.paragraphs)

    step(50, "detecting the language")
    hint = article.language
    language = Language(hint, 1.0) if hint else detect_language(whole)

    step(60, "measuring")
    sentences = [
        sentence
        for paragraph in main.paragraphs
        for sentence in split_sentences(paragraph, language.code)
    ]
    if not sentences:
        raise reject(Reason.NO_TEXT, "the document holds no main text")
    words = [whole[start:end] for start, end in find_words(whole)]

    step(75, "finding keywords")
    ranked = _take(sentences, _RANKED_CHARACTERS)
    stop_words = load_stop_words(language.code)
    terms = [find_terms(sentence, stop_words) for sentence in ranked]
    keywords = find_keywords(ranked, terms, article.max_keywords)

    step(90, "summarising")
    summary = summarise(ranked, terms, article.max_sentences)
    return Analysis(
        title=main.title,
        author=main.author,
        site_name=main.site_name,
        published_date=main.published_date,
        language=language,
        counts=count_text(main.paragraphs, words, sentences),
        reading_time_seconds=estimate_reading_seconds(words, language.code),
        readability=rate_readability(words, len(sentences), language.code),
        keywords=keywords,
        summary=summary,
        source=Source(
            url=document.url,
            content_type=content_type,
            charset=charset,
            bytes=len(document.body),
            sha256=sha256(document.body).hexdigest(),
        ),
    )


def _take(sentences: list[str], characters: int) -> list[str]:
    """Returns the first sentences, no more than `characters` together; the last is cut to fit."""
    taken = []
    for sentence in sentences:
        if characters <= 0:
            break
        taken.append(sentence[:characters])
        characters -= len(sentence)
    return taken
