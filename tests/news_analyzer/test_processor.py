"""The processor as a worker calls it: input, progress, cancellation, failures, output."""

import concurrent.futures
import hashlib
import time
from pathlib import Path

import msgspec
import pytest

from jobsvc.v1.worker_service_pb2 import JobLease
from jobsvc.worker import Context, Fail
from jobsvc.worker.bound_processor import bind
from jobsvc.worker.outcome import Cancelled
from jobsvc.worker.running_attempt import RunningAttempt, Stop
from workers.news_analyzer import Analysis, ArticleInput, analyze

TEXT = """Flood barrier approved

The council of Ashford voted on Tuesday to build a flood barrier along the river.
The flood barrier should protect about 3,200 homes, the council said.

Opponents fear for the wetland north of the town. They want the council to restore it."""

PAGE = f"""<!DOCTYPE html><html lang=en><head><title>Flood barrier approved</title></head>
<body><nav><a href=/>Home</a></nav><article><h1>Flood barrier approved</h1>
{"".join(f"<p>{part}</p>" for part in TEXT.split(chr(10) * 2)[1:])}</article></body></html>"""


def run(article: ArticleInput) -> Analysis:
    return analyze(article, Context.for_test())


def test_text_is_analysed() -> None:
    analysis = run(ArticleInput(article_text=TEXT))
    assert analysis.title == "Flood barrier approved"
    assert analysis.language.code == "en"
    assert (analysis.counts.paragraphs, analysis.counts.sentences) == (2, 4)
    assert analysis.keywords[0].text == "flood barrier"
    assert len(analysis.summary) == 3
    assert {score.formula for score in analysis.readability} == {
        "flesch_reading_ease",
        "flesch_kincaid_grade",
        "lix",
    }
    assert analysis.source.sha256 == hashlib.sha256(TEXT.encode()).hexdigest()
    assert analysis.source.bytes == len(TEXT.encode())
    assert analysis.source.url is None


def test_page_and_text_of_an_article_are_analysed_alike() -> None:
    text = run(ArticleInput(article_text=TEXT))
    page = run(ArticleInput(html=PAGE))
    assert page.title == text.title
    assert page.keywords[0] == text.keywords[0]
    assert page.summary == text.summary
    assert page.source.content_type == "text/html"


def test_file_in_the_working_directory_is_analysed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NEWS_ANALYZER_FILE_ROOTS", raising=False)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "news.html"
    path.write_text(PAGE, "utf-8")
    analysis = run(ArticleInput(article_url=path.as_uri()))
    assert analysis.title == "Flood barrier approved"
    assert analysis.source.url == path.as_uri()


def test_file_elsewhere_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEWS_ANALYZER_FILE_ROOTS", str(tmp_path / "allowed"))
    with pytest.raises(Fail) as caught:
        run(ArticleInput(article_url=(tmp_path / "news.html").as_uri()))
    assert caught.value.reason == "PATH_NOT_ALLOWED"


def test_loopback_is_refused_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NEWS_ANALYZER_ALLOW_PRIVATE", raising=False)
    with pytest.raises(Fail) as caught:
        run(ArticleInput(article_url="http://127.0.0.1:9/"))
    assert caught.value.reason == "ADDRESS_NOT_ALLOWED"


def test_limits_and_language_hint_are_kept() -> None:
    article = ArticleInput(article_text=TEXT, language="de", max_keywords=2, max_sentences=0)
    analysis = run(article)
    assert (analysis.language.code, analysis.language.confidence) == ("de", 1.0)
    assert len(analysis.keywords) == 2
    assert analysis.summary == []


def test_threads_get_the_same_analysis() -> None:
    expected = run(ArticleInput(html=PAGE))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(run, ArticleInput(html=PAGE)) for _ in range(16)]
        assert all(future.result() == expected for future in futures)


def test_progress_is_told_along_the_way() -> None:
    told: list[tuple[int, str] | None] = []

    def listen(attempt: RunningAttempt) -> None:
        told.append(attempt.progress)
        attempt.progress_told = False

    attempt = RunningAttempt(JobLease(queue="news-analyzer"), time.monotonic(), listen)
    analyze(ArticleInput(article_text=TEXT), Context(attempt))
    percents = [progress[0] for progress in told if progress is not None]
    assert percents == sorted(percents)
    assert len(percents) == 5


def test_cancelled_job_stops_at_the_next_step() -> None:
    def cancel(attempt: RunningAttempt) -> None:
        attempt.request_stop(Stop.CANCEL_REQUESTED)

    attempt = RunningAttempt(JobLease(queue="news-analyzer"), time.monotonic(), cancel)
    with pytest.raises(Cancelled):
        analyze(ArticleInput(article_text=TEXT), Context(attempt))
    assert attempt.progress == (30, "extracting")


@pytest.mark.parametrize(
    "payload",
    [
        "{}",
        '{"articleText": "a", "html": "<p>a"}',
        '{"articleText": ""}',
        '{"articleText": "a", "maxKeywords": 51}',
        '{"articleText": "a", "language": "English"}',
        '{"articleText": "a", "unknown": 1}',
        '{"article_text": "a"}',
    ],
)
def test_input_is_rejected(payload: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        bind(analyze).decode(payload)


def test_schema_names_the_limits() -> None:
    schema = bind(analyze).input_schema
    assert schema is not None
    assert schema["additionalProperties"] is False
    assert "2048" in msgspec.json.encode(schema["properties"]["articleUrl"]).decode()
    assert schema["properties"]["maxKeywords"]["maximum"] == 50


def test_output_is_in_camel_case() -> None:
    output = msgspec.json.decode(msgspec.json.encode(run(ArticleInput(article_text=TEXT))))
    assert {"title", "siteName", "publishedDate", "readingTimeSeconds", "source"} <= set(output)
    assert "contentType" in output["source"]
