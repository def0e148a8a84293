"""Limits on the documents that the news-analyzer reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ReadPolicy:
    """Limits on documents named by a URL.

    `file_roots`: files are read below these directories only.
    `allow_private`: also connect to loopback, private and other non-public addresses.
    `max_bytes`: size of a document with its content encoding undone.
    `fetch_seconds`: from the first byte of a connection to the last of its response.
    """

    file_roots: tuple[Path, ...] = ()
    allow_private: bool = False
    max_bytes: int = 2 * 1024 * 1024
    max_redirects: int = 5
    connect_seconds: float = 5.0
    read_seconds: float = 10.0
    fetch_seconds: float = 30.0
    max_retry_delay_seconds: float = 300.0


def read_policy(environ: Mapping[str, str], working_directory: Path) -> ReadPolicy:
    """Returns the policy that the environment sets.

    NEWS_ANALYZER_FILE_ROOTS: directories separated by colons; unset means the
    working directory only, empty means no files at all.
    NEWS_ANALYZER_ALLOW_PRIVATE: 1, true, yes or on lets URLs lead to private
    addresses, which opens the worker's own network to everybody who may create jobs.
    """
    roots = environ.get("NEWS_ANALYZER_FILE_ROOTS")
    if roots is None:
        file_roots: tuple[Path, ...] = (working_directory,)
    else:
        file_roots = tuple(Path(root) for root in roots.split(":") if root.strip())
    allow_private = environ.get("NEWS_ANALYZER_ALLOW_PRIVATE", "").strip().lower()
    return ReadPolicy(
        file_roots=file_roots, allow_private=allow_private in {"1", "true", "yes", "on"}
    )
