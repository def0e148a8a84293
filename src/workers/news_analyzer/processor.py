"""The `news-analyzer` job: reads one article and reports what it is about."""

import os
from pathlib import Path

from jobsvc.worker import Context, processor
from workers.news_analyzer.analysis import analyze_document
from workers.news_analyzer.article import Analysis, ArticleInput
from workers.news_analyzer.document import Document
from workers.news_analyzer.local_file import read_file_document
from workers.news_analyzer.policy import ReadPolicy, read_policy
from workers.news_analyzer.web import fetch_document


@processor("news-analyzer")
def analyze(article: ArticleInput, context: Context) -> Analysis:
    """Returns title, language, sizes, readability, keywords and summary of one article.

    The article is in the input as text or HTML, or is read from an http, https or
    file URL as far as the environment allows (see `read_policy`). Runs in a
    thread, as it computes for some ten milliseconds and waits for one server.
    Raises Fail with one of `Reason`, Retry with one of `PassingReason`, and
    stops between two steps when the job is cancelled.
    """

    def step(percent: int, message: str) -> None:
        context.raise_if_cancelled()
        context.progress(percent, message)

    document = _read(article, read_policy(os.environ, Path.cwd()), context)
    return analyze_document(document, article, step)


def _read(article: ArticleInput, policy: ReadPolicy, context: Context) -> Document:
    if article.article_text is not None:
        return Document(_encode(article.article_text), "text/plain", "utf-8")
    if article.html is not None:
        return Document(_encode(article.html), "text/html", "utf-8")
    address = (article.article_url or "").strip()
    context.raise_if_cancelled()
    context.progress(5, "fetching")
    if address.lower().startswith("file:"):
        return read_file_document(address, policy)
    return fetch_document(address, policy, context.raise_if_cancelled)


def _encode(text: str) -> bytes:
    # Half a surrogate pair, which JSON can spell, has no UTF-8.
    return text.encode("utf-8", "replace")
