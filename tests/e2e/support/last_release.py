"""The code of the last release: what upgrades begin with, and rollbacks return to."""

import io
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
#: Stands for the release while there is no tag: a commit with the first 14 migrations.
BEFORE_THE_FIRST = "6c598889"


@dataclass(frozen=True, slots=True)
class LastRelease:
    """A release, and the folder with its tree."""

    name: str
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """Makes a Python program run the release's code in place of what is installed."""
        return {"PYTHONPATH": str(self.folder / "src")}

    @property
    def processors(self) -> Path:
        """The processors of its tests."""
        return self.folder / "tests/e2e/support/processors.py"

    @property
    def migrations(self) -> dict[str, str]:
        """The text of each of its migrations, by name."""
        return _migrations(self.folder)


def todays_migrations() -> dict[str, str]:
    """The text of each migration of this checkout, by name."""
    return _migrations(ROOT)


def take_last_release(folder: Path) -> LastRelease:
    """Writes the tree of the last release before this commit into `folder`.

    Skips the test where there is no such tree: in a checkout without the history.
    """
    tag = _git("describe", "--tags", "--abbrev=0", "--match", "v[0-9]*", "HEAD^")
    name = tag.decode().strip() or BEFORE_THE_FIRST
    archive = _git("archive", name, "src/jobsvc", "tests/e2e/support")
    if not archive:
        pytest.skip(f"neither a tag of a release nor {BEFORE_THE_FIRST} is here: a shallow clone?")
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    return LastRelease(name, folder)


def _migrations(root: Path) -> dict[str, str]:
    files = (root / "src/jobsvc/store/migrations").glob("*.sql")
    return {path.stem: path.read_text() for path in files}


def _git(*arguments: str) -> bytes:
    """What git says; nothing where it fails, or is not there."""
    try:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return b""
