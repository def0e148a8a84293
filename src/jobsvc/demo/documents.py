"""The documents to analyse: real ones, found on every machine with this project."""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path

from jobsvc.client import JobState
from jobsvc.demo.readme_text import readme_text
from jobsvc.demo.site import ARTICLE, BROKEN, BUSY

#: Attempts that each job gets.
MAX_ATTEMPTS = 2
MAX_CHARACTERS = 20_000
_MIN_CHARACTERS = 400


@dataclass(frozen=True, slots=True)
class Document:
    """A document to analyse: its title, the input of its job, and how that job must end."""

    title: str
    input: dict[str, str]
    state: JobState = JobState.COMPLETED
    attempts: int = 1


def package_documents(
    count: int, installed: Iterable[Distribution] | None = None
) -> list[Document]:
    """Returns the `count` longest distinct descriptions (READMEs) of the installed packages.

    Each is cut to `MAX_CHARACTERS`; there are fewer where the packages are few.
    """
    texts: dict[str, str] = {}
    for package in distributions() if installed is None else installed:
        facts = package.metadata
        text = readme_text(facts["Description"]) if "Description" in facts else ""
        if len(text) >= _MIN_CHARACTERS:
            texts.setdefault(text, f"{package.name} {package.version}")
    longest = sorted(texts, key=lambda text: (-len(text), text))[:count]
    return [Document(texts[text], {"articleText": text[:MAX_CHARACTERS]}) for text in longest]


def licence_path(package: str = "asyncpg") -> Path | None:
    """Returns the licence file of an installed package; None where the packager left it out."""
    for file in distribution(package).files or ():
        if file.name.upper().startswith("LICENSE"):
            path = Path(str(file.locate())).resolve()
            return path if path.is_file() else None
    return None


def all_documents(site: str, licence: Path | None, package_count: int = 21) -> list[Document]:
    """Returns all documents of the demo, for a queue that tries `MAX_ATTEMPTS` times.

    `site` is the base URL of the demo's own web site.
    """
    found = package_documents(package_count)
    found.append(Document("a page on the web", {"articleUrl": site + ARTICLE}))
    if licence is not None:
        found.append(Document("a file", {"articleUrl": licence.as_uri()}))
    found.append(Document("a site that is busy at first", {"articleUrl": site + BUSY}, attempts=2))
    broken = {"articleUrl": site + BROKEN}
    found.append(Document("a site that is down", broken, JobState.FAILED, MAX_ATTEMPTS))
    return found
