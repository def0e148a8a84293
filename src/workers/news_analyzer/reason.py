"""The reasons why an article cannot be analysed, as callers see them: final or passing."""

from enum import StrEnum

from google.rpc import code_pb2

from jobsvc.worker import Fail, Retry


class Reason(StrEnum):
    """Final reasons: the same input would fail again."""

    #: The address is no URL, carries credentials, or leaves out what its scheme needs.
    URL_INVALID = "URL_INVALID"
    #: Only http, https and file are read.
    SCHEME_NOT_ALLOWED = "SCHEME_NOT_ALLOWED"
    #: The host has no public address and private ones are not allowed.
    ADDRESS_NOT_ALLOWED = "ADDRESS_NOT_ALLOWED"
    #: The file is not below one of the allowed roots.
    PATH_NOT_ALLOWED = "PATH_NOT_ALLOWED"
    #: No such file, no such host, HTTP 404 or 410.
    DOCUMENT_NOT_FOUND = "DOCUMENT_NOT_FOUND"
    #: The file may not be read, HTTP 401, 402, 403, 407 or 451.
    ACCESS_DENIED = "ACCESS_DENIED"
    #: Any other status without a document.
    REQUEST_REJECTED = "REQUEST_REJECTED"
    TOO_MANY_REDIRECTS = "TOO_MANY_REDIRECTS"
    #: The server's certificate does not hold.
    CERTIFICATE_INVALID = "CERTIFICATE_INVALID"
    #: The document, its content encoding undone, is larger than allowed.
    TOO_LARGE = "TOO_LARGE"
    #: Neither HTML nor text.
    UNSUPPORTED_CONTENT = "UNSUPPORTED_CONTENT"
    #: The document holds no main text.
    NO_TEXT = "NO_TEXT"


class PassingReason(StrEnum):
    """Reasons that may pass: worth another attempt."""

    CONNECTION_FAILED = "CONNECTION_FAILED"
    FETCH_TIMEOUT = "FETCH_TIMEOUT"
    #: HTTP 408, 425 or 429.
    SERVER_BUSY = "SERVER_BUSY"
    #: HTTP 5xx.
    SERVER_UNAVAILABLE = "SERVER_UNAVAILABLE"


_CODES = {
    Reason.ADDRESS_NOT_ALLOWED: code_pb2.PERMISSION_DENIED,
    Reason.PATH_NOT_ALLOWED: code_pb2.PERMISSION_DENIED,
    Reason.ACCESS_DENIED: code_pb2.PERMISSION_DENIED,
    Reason.DOCUMENT_NOT_FOUND: code_pb2.NOT_FOUND,
    Reason.REQUEST_REJECTED: code_pb2.FAILED_PRECONDITION,
    Reason.TOO_MANY_REDIRECTS: code_pb2.FAILED_PRECONDITION,
    Reason.CERTIFICATE_INVALID: code_pb2.FAILED_PRECONDITION,
}


def reject(reason: Reason, message: str) -> Fail:
    """Returns the permanent failure for `reason`."""
    return Fail(message, reason=reason.value, code=_CODES.get(reason, code_pb2.INVALID_ARGUMENT))


def postpone(reason: PassingReason, message: str, delay_seconds: float | None = None) -> Retry:
    """Returns the passing failure for `reason`; without a delay the queue sets it."""
    return Retry(message, reason=reason.value, delay=delay_seconds)
