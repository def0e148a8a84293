"""Reads documents from file URLs: regular files below the allowed roots."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

from workers.news_analyzer.document import Document
from workers.news_analyzer.policy import ReadPolicy
from workers.news_analyzer.reason import PassingReason, Reason, postpone, reject

_TYPES = {
    "": "",
    ".htm": "text/html",
    ".html": "text/html",
    ".xhtml": "application/xhtml+xml",
    ".md": "text/markdown",
    ".text": "text/plain",
    ".txt": "text/plain",
}


def read_file_document(address: str, policy: ReadPolicy) -> Document:
    """Returns the document of a file URL, typed by the ending of its name.

    Only a regular file is read whose path, all symbolic links resolved, lies
    below one of the policy's roots. Raises Fail: URL_INVALID, PATH_NOT_ALLOWED
    (whether or not there is such a file), DOCUMENT_NOT_FOUND, ACCESS_DENIED,
    UNSUPPORTED_CONTENT, TOO_LARGE; Retry when the disk fails.
    """
    root, inner = _locate(_parse_path(address), policy)
    suffix = inner.suffix.lower()
    if suffix not in _TYPES:
        message = f"files ending in {suffix[:20]} are not supported, only HTML and plain text"
        raise reject(Reason.UNSUPPORTED_CONTENT, message)
    try:
        with _open_below(root, inner) as file:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise reject(Reason.UNSUPPORTED_CONTENT, "articleUrl is not a regular file")
            with os.fdopen(file, "rb", closefd=False) as stream:
                body = stream.read(policy.max_bytes + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise reject(Reason.DOCUMENT_NOT_FOUND, "there is no such file") from error
    except PermissionError as error:
        raise reject(Reason.ACCESS_DENIED, "the file may not be read") from error
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENAMETOOLONG}:
            raise reject(Reason.DOCUMENT_NOT_FOUND, "there is no such file") from error
        raise postpone(PassingReason.CONNECTION_FAILED, "the file cannot be read now") from error
    if len(body) > policy.max_bytes:
        raise reject(Reason.TOO_LARGE, f"the file is larger than {policy.max_bytes} bytes")
    return Document(body, _TYPES[suffix], url=address)


def _parse_path(address: str) -> Path:
    try:
        parts = urlsplit(address)
        host = parts.netloc.lower()
        path = unquote_to_bytes(parts.path)
    except ValueError as error:
        raise reject(Reason.URL_INVALID, "articleUrl is not a URL") from error
    if host not in {"", "localhost"} or not path.startswith(b"/") or b"\0" in path or parts.query:
        raise reject(Reason.URL_INVALID, "a file URL is file:/// and an absolute path")
    return Path(os.fsdecode(path))


def _locate(path: Path, policy: ReadPolicy) -> tuple[Path, Path]:
    """Returns the root above `path`, and the path from there, all links resolved."""
    try:
        target = path.resolve()
        for root in policy.file_roots:
            folder = root.resolve()
            if target != folder and target.is_relative_to(folder):
                return folder, target.relative_to(folder)
    except (OSError, RuntimeError) as error:
        # A loop of links, or a name longer than the system takes.
        raise reject(Reason.DOCUMENT_NOT_FOUND, "there is no such file") from error
    raise reject(Reason.PATH_NOT_ALLOWED, "files are read below the allowed directories only")


@contextmanager
def _open_below(root: Path, inner: Path) -> Iterator[int]:
    """Opens folder by folder and follows no link, as one may have been set since `_locate`."""
    opened = [os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)]
    try:
        for part in inner.parts[:-1]:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            opened.append(os.open(part, flags, dir_fd=opened[-1]))
        # Non-blocking, so that a named pipe does not hold the worker.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        opened.append(os.open(inner.name, flags, dir_fd=opened[-1]))
        yield opened[-1]
    finally:
        for descriptor in opened:
            os.close(descriptor)
