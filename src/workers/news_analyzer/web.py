"""Documents from http and https URLs."""

from collections.abc import Callable
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin

from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

from jobsvc.worker import Fail, Retry
from workers.news_analyzer.connection import Answer, request
from workers.news_analyzer.document import Document
from workers.news_analyzer.policy import ReadPolicy
from workers.news_analyzer.reason import PassingReason, Reason, postpone, reject

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NOT_FOUND = frozenset({404, 410})
_DENIED = frozenset({401, 402, 403, 407, 451})
_BUSY = frozenset({408, 425, 429})


def fetch_document(address: str, policy: ReadPolicy, check: Callable[[], None]) -> Document:
    """The document behind an http or https URL, redirects followed.

    Every hop is held to `policy` anew. `check` is called along the way and may
    raise to stop. Raises Fail for what will not change (HTTP 4xx, too large,
    not allowed), Retry for what may (timeouts, broken connections, HTTP 408,
    425, 429 and 5xx; with the delay that Retry-After asks for, up to
    `max_retry_delay_seconds`).
    """
    for _ in range(policy.max_redirects + 1):
        check()
        url = parse_web_url(address)
        answer = request(url, policy, check)
        if answer.status in _REDIRECTS and "location" in answer.headers:
            address = _join(url.url, answer.headers["location"])
            continue
        if answer.status != 200:
            raise judge_status(answer, policy, datetime.now(UTC))
        content_type, charset = parse_content_type(answer.headers.get("content-type", ""))
        return Document(answer.body, content_type, charset, url._replace(fragment=None).url)
    message = f"more than {policy.max_redirects} redirects"
    raise reject(Reason.TOO_MANY_REDIRECTS, message)


def parse_web_url(address: str) -> Url:
    """The parts of an http or https URL, percent-encoded and with an ASCII host.

    Raises Fail: SCHEME_NOT_ALLOWED for any other scheme (also where a redirect
    leads to one), URL_INVALID for what is no URL, has no host or carries credentials.
    """
    try:
        url = parse_url(address)
    except (LocationParseError, UnicodeError) as error:
        raise reject(Reason.URL_INVALID, "articleUrl is not a URL") from error
    if url.scheme not in {"http", "https"}:
        raise reject(Reason.SCHEME_NOT_ALLOWED, "only http, https and file URLs are read")
    if not url.host:
        raise reject(Reason.URL_INVALID, "the URL names no host")
    if url.auth is not None:
        raise reject(Reason.URL_INVALID, "the URL carries credentials")
    return url


def judge_status(answer: Answer, policy: ReadPolicy, now: datetime) -> Fail | Retry:
    """The failure that an HTTP status other than 200 amounts to."""
    status = answer.status
    message = f"the server answered HTTP {status}"
    delay = parse_retry_after(answer.headers.get("retry-after", ""), now)
    if delay is not None:
        delay = min(delay, policy.max_retry_delay_seconds)
    if status in _BUSY:
        return postpone(PassingReason.SERVER_BUSY, message, delay)
    if status >= 500:
        return postpone(PassingReason.SERVER_UNAVAILABLE, message, delay)
    if status in _NOT_FOUND:
        return reject(Reason.DOCUMENT_NOT_FOUND, message)
    if status in _DENIED:
        return reject(Reason.ACCESS_DENIED, message)
    return reject(Reason.REQUEST_REJECTED, message)


def parse_retry_after(value: str, now: datetime) -> float | None:
    """Seconds from `now`, never negative, that a Retry-After header asks for (RFC 9110, 10.2.3)."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    # A date without a zone is UTC by the RFC's grammar.
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


def parse_content_type(header: str) -> tuple[str, str | None]:
    """Media type in lower case ("" when none is named) and charset of a Content-Type header."""
    if not header.strip():
        return "", None
    message = Message()
    message["Content-Type"] = header.replace("\r", " ").replace("\n", " ")
    charset = message.get_content_charset()
    return header.partition(";")[0].strip().lower(), charset


def _join(base: str, location: str) -> str:
    try:
        return urljoin(base, location)
    except ValueError as error:
        raise reject(Reason.URL_INVALID, "a redirect leads to what is not a URL") from error
