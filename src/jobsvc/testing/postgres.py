"""The embedded PostgreSQL for tests: started on a copy of a data directory that was made once."""

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType

from jobsvc.embedded import embedded_postgres
from jobsvc.settings import SCHEMA
from jobsvc.store.migration import read_migrations
from jobsvc.store.scratch_database import make_template
from jobsvc.store.under_test import movable_texts

#: Not durable, and small: the data are gone after the tests.
POSTGRES_SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "fsync": "off",
        "full_page_writes": "off",
        "synchronous_commit": "off",
        "shared_buffers": "32MB",
        "max_wal_size": "256MB",
        "autovacuum": "off",
    }
)
#: Templates that nobody has copied for so long are removed.
_UNUSED_SECONDS = 30 * 86_400.0
_MEMORY = Path("/dev/shm")
_MEMORY_BYTES = 1 << 30


@asynccontextmanager
async def running_postgres(cache: Path | None = None) -> AsyncIterator[str]:
    """Runs a PostgreSQL with the database that `scratch_database` copies; yields its DSN.

    The first start makes the data directory, in about two seconds, and keeps it in `cache`
    (~/.cache/jobsvc) for all later ones with the same release, PostgreSQL and account.

    Raises:
        EmbeddedUnavailable: PostgreSQL cannot be used.
    """
    template = await _template(cache or default_cache())
    with _folder() as folder:
        shutil.copytree(template / "pgdata", folder / "pgdata", symlinks=True)
        async with embedded_postgres(folder, POSTGRES_SETTINGS) as server:
            yield server.dsn


def default_cache() -> Path:
    """Returns the folder for caches of this account."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "jobsvc"


def template_key() -> str:
    """Returns a name that changes with all that goes into a template. Pure but for its inputs."""
    parts = [migration.text for migration in read_migrations()]
    parts += [text for _, text in sorted(movable_texts(SCHEMA).items())]
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    return f"pgdata-{version('embedded-postgres')}-{digest}-{os.geteuid()}"


async def _template(cache: Path) -> Path:
    """Returns the template, which is made if it is missing."""
    template = cache / template_key()
    if not _is_there(template):
        with _draft_of(template) as draft:
            async with embedded_postgres(draft, POSTGRES_SETTINGS) as server:
                await make_template(server.dsn)
        _remove_unused(cache)
    os.utime(template)
    return template


def _is_there(template: Path) -> bool:
    return template.is_dir()


@contextmanager
def _draft_of(template: Path) -> Iterator[Path]:
    """A folder that becomes the template at the end of the block, unless another process, which
    began at the same time, was faster."""
    template.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=template.parent))
    try:
        yield draft
        with suppress(OSError):
            draft.rename(template)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _remove_unused(cache: Path) -> None:
    for old in (*cache.glob("pgdata-*"), *cache.glob(".draft-*")):
        with suppress(OSError):
            if old.stat().st_mtime < time.time() - _UNUSED_SECONDS:
                shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder for the data, in memory where there is a large one."""
    large = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _MEMORY_BYTES
    with tempfile.TemporaryDirectory(
        prefix="jobsvc-test-", dir=_MEMORY if large else None, ignore_cleanup_errors=True
    ) as folder:
        yield Path(folder)
