"""Fetches documents from http and https URLs."""

from collections.abc import Callable
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin

from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

from jobsvc.worker import Fail, Retry
from workers.news_analyzer.connection import Response, request
from workers.news_analyzer.document import Document
from workers.news_analyzer.policy import ReadPolicy
from workers.news_analyzer.reason import PassingReason, Reason, postpone, reject

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NOT_FOUND = frozenset({404, 410})
_DENIED = frozenset({401, 402, 403, 407, 451})
_BUSY = frozenset({408, 425, 429})


def fetch_document(address: str, policy: ReadPolicy, check: Callable[[], None]) -> Document:
    """Returns the document of an http or https URL; follows redirects.

    `policy` applies to every hop. `check` is called between the steps and may
    raise to stop. Raises Fail for lasting failures (HTTP 4xx, too large, not
    allowed), Retry for passing ones (timeouts, broken connections, HTTP 408,
    425, 429 and 5xx; with the delay that Retry-After asks for, up to
    `max_retry_delay_seconds`).
    """
    for _ in range(policy.max_redirects + 1):
        check()
        url = parse_web_url(address)
        response = request(url, policy, check)
        if response.status in _REDIRECTS and "location" in response.headers:
            address = _join(url.url, response.headers["location"])
            continue
        if response.status != 200:
            raise judge_status(response, policy, datetime.now(UTC))
        content_type, charset = parse_content_type(response.headers.get("content-type", ""))
        return Document(response.body, content_type, charset, url._replace(fragment=None).url)
    message = f"more than {policy.max_redirects} redirects"
    raise reject(Reason.TOO_MANY_REDIRECTS, message)


def parse_web_url(address: str) -> Url:
    """Returns the parts of an http or https URL, percent-encoded and with an ASCII host.

    Raises Fail: SCHEME_NOT_ALLOWED for any other scheme (also where a redirect
    leads to one), URL_INVALID without a host, with credentials, or if it is no URL.
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


def judge_status(response: Response, policy: ReadPolicy, now: datetime) -> Fail | Retry:
    """Returns the failure for an HTTP status other than 200."""
    status = response.status
    message = f"the server answered HTTP {status}"
    delay = parse_retry_after(response.headers.get("retry-after", ""), now)
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
    """Returns the seconds that a Retry-After header asks for, at least 0 (RFC 9110, 10.2.3)."""
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
    """Returns media type, in lower case ("" for none), and charset of a Content-Type header."""
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
