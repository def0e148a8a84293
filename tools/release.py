"""What a release needs beside its files.

    python tools/release.py bump 0.2.0    the next version, here and in CHANGELOG.md
    python tools/release.py check         exit code 1, and why, unless this tree is a release
    python tools/release.py sums          dist/SHA256SUMS

docs/releases.md says in which order.
"""

import hashlib
import re
import subprocess
import sys
import tomllib
from datetime import UTC, date, datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: Files that name the version, beside pyproject.toml where it comes from; what stands before it.
MENTIONS = {
    "deploy/kubernetes/base/kustomization.yaml": "newTag: ",
    "docs/operations/container.md": "jobsvc:",
}
#: The kinds of changes in Keep a Changelog, in its order.
KINDS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
_VERSION = r"(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)"
_RELEASED = re.compile(rf"\[({_VERSION})\] - (\d{{4}}-\d{{2}}-\d{{2}})")
_UNRELEASED = "[Unreleased]"


def sections(changelog: str) -> dict[str, str]:
    """The text below each heading of the second level, by heading, from the top down."""
    _, *parts = re.split(r"^## ", changelog, flags=re.MULTILINE)
    split = [part.partition("\n") for part in parts]
    return {heading: text.strip() for heading, _, text in split}


def released(changelog: str) -> dict[str, date]:
    """The day of each release that has a section, newest first."""
    found = [_RELEASED.fullmatch(heading) for heading in sections(changelog)]
    return {match[1]: date.fromisoformat(match[2]) for match in found if match}


def malformed(changelog: str) -> list[str]:
    """What in it is not as Keep a Changelog 1.1.0 and Semantic Versioning have it."""
    headings = list(sections(changelog))
    wrong = [
        f"## {h}: neither {_UNRELEASED} nor [VERSION] - YYYY-MM-DD" for h in _strange(headings)
    ]
    if headings[:1] != [_UNRELEASED]:
        wrong.append(f"the first section is not {_UNRELEASED}")
    if len(set(headings)) < len(re.findall(r"^## ", changelog, re.MULTILINE)):
        wrong.append("a section is there twice")
    for heading, text in sections(changelog).items():
        kinds = re.findall(r"^### (.*)$", text, re.MULTILINE)
        if kinds != [kind for kind in KINDS if kind in kinds]:
            wrong.append(f"{heading}: of the kinds {', '.join(KINDS)}, once each and in this order")
        for block in re.split(r"^### .*$", text, flags=re.MULTILINE)[1:]:
            if not re.search(r"^- ", block, re.MULTILINE):
                wrong.append(f"{heading}: a kind of changes without a change")
        if heading != _UNRELEASED and not kinds:
            wrong.append(f"{heading}: no changes")
    days = released(changelog)
    if list(days) != sorted(days, key=_parts, reverse=True):
        wrong.append("the newest version is not on top")
    if list(days.values()) != sorted(days.values(), reverse=True):
        wrong.append("a version is older than the one below it")
    return wrong


def _strange(headings: list[str]) -> list[str]:
    return [h for h in headings if h != _UNRELEASED and not _RELEASED.fullmatch(h)]


def _parts(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def cut(changelog: str, version: str, today: date) -> str:
    """Makes a section of the version of what is unreleased, below an empty [Unreleased]."""
    if re.fullmatch(_VERSION, version) is None:
        raise ValueError(f"{version} is not MAJOR.MINOR.PATCH")
    newer = [v for v in released(changelog) if _parts(v) >= _parts(version)]
    if newer:
        raise ValueError(f"CHANGELOG.md has {newer[0]}, which is not older than {version}")
    if not re.search("^- ", sections(changelog).get(_UNRELEASED, ""), re.MULTILINE):
        raise ValueError(f"CHANGELOG.md has no change below {_UNRELEASED}")
    heading = f"## {_UNRELEASED}\n"
    return changelog.replace(heading, f"{heading}\n## [{version}] - {today}\n", 1)


def problems(changelog: str, version: str, changed: list[str], tagged: str, head: str) -> list[str]:
    """Why this tree is not the release of the version; nothing if it is.

    Args:
        changelog: the text of CHANGELOG.md.
        version: that of pyproject.toml.
        changed: files that differ from the commit, or are not in it.
        tagged: the commit with the version's tag; empty while there is none.
        head: the commit that is checked out.
    """
    found = malformed(changelog)
    if changed:
        found.append(f"not committed: {', '.join(changed[:5])}{' …' if changed[5:] else ''}")
    if version not in released(changelog):
        found.append(f"CHANGELOG.md has no section [{version}]: make bump NEXT={version}")
    elif sections(changelog).get(_UNRELEASED):
        found.append(f"CHANGELOG.md has changes below {_UNRELEASED}, which {version} does not tell")
    if tagged and tagged != head:
        found.append(
            f"v{version} is the tag of another commit: make bump NEXT=… for another release"
        )
    return found


def project_version(root: Path) -> str:
    """The version, from where it comes."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    return str(project["version"])


def mentioned_versions(root: Path) -> set[str]:
    """The versions that the files of `MENTIONS` name."""
    return {
        version
        for name, before in MENTIONS.items()
        for version in re.findall(re.escape(before) + f"({_VERSION})", (root / name).read_text())
    }


def bump(root: Path, version: str, today: date) -> None:
    """Writes the version wherever it stands, and cuts its section of the changelog."""
    page = root / "CHANGELOG.md"
    changelog = cut(page.read_text(), version, today)
    for name, before in {"pyproject.toml": '\nversion = "', **MENTIONS}.items():
        path = root / name
        text, count = re.subn(
            f"({re.escape(before)}){_VERSION}", rf"\g<1>{version}", path.read_text()
        )
        assert count, f"{name} has no {before!r}"
        path.write_text(text)
    page.write_text(changelog)


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else ""


def _check() -> int:
    version = project_version(ROOT)
    head = _git("rev-parse", "HEAD").strip()
    if not head:
        print("release: not in a git checkout", file=sys.stderr)
        return 1
    found = problems(
        (ROOT / "CHANGELOG.md").read_text(),
        version,
        [line[3:] for line in _git("status", "--porcelain").splitlines()],
        _git("rev-parse", "--verify", "--quiet", f"v{version}^{{commit}}").strip(),
        head,
    )
    for one in found:
        print(f"release: {one}", file=sys.stderr)
    return 1 if found else 0


def _write_sums(folder: Path) -> None:
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(folder.iterdir())
        if path.name != "SHA256SUMS"
    ]
    (folder / "SHA256SUMS").write_text("".join(lines))


def main(arguments: list[str]) -> int:
    """Runs one of the commands above; returns the exit code."""
    match arguments:
        case ["bump", version]:
            try:
                bump(ROOT, version, datetime.now(UTC).date())
            except ValueError as error:
                print(f"release: {error}", file=sys.stderr)
                return 1
        case ["check"]:
            return _check()
        case ["sums"]:
            _write_sums(ROOT / "dist")
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
