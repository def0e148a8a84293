"""The changelog has the form of Keep a Changelog, and what is no release is refused."""

import shutil
from datetime import date
from pathlib import Path

import pytest

from jobsvc.release import installed_release
from tools.release import (
    MENTIONS,
    ROOT,
    bump,
    cut,
    malformed,
    mentioned_versions,
    problems,
    project_version,
    released,
)

TODAY = date(2026, 12, 1)
HEAD = "of2026"
CHANGELOG = """# Changelog

## [Unreleased]

### Added

- a tap

## [0.1.1] - 2026-11-30

### Changed

- the kettle

### Fixed

- the lid

## [0.1.0] - 2026-11-02

### Added

- a kettle
"""
CUT = cut(CHANGELOG, "0.2.0", TODAY)


def test_changelog_keeps_the_form() -> None:
    assert malformed((ROOT / "CHANGELOG.md").read_text()) == []
    assert malformed(CHANGELOG) == malformed(CUT) == []


@pytest.mark.parametrize(
    ("right", "wrong", "complaint"),
    [
        ("## [Unreleased]\n", "## Unreleased\n", "## Unreleased: neither"),
        ("## [0.1.1] - 2026-11-30", "## 0.1.1 - 2026-11-30", "## 0.1.1 - 2026-11-30: neither"),
        ("## [Unreleased]\n\n### Added\n\n- a tap\n", "", "the first section is not"),
        ("### Changed", "### Improved", "[0.1.1] - 2026-11-30: of the kinds"),
        ("- the lid\n", "", "a kind of changes without a change"),
        ("[0.1.1]", "[0.0.9]", "the newest version is not on top"),
        ("2026-11-30", "2026-11-01", "a version is older"),
        ("[0.1.1] - 2026-11-30", "[0.1.0] - 2026-11-02", "a section is there twice"),
        ("### Added\n\n- a kettle\n", "", "[0.1.0] - 2026-11-02: no changes"),
    ],
)
def test_other_forms_are_named(right: str, wrong: str, complaint: str) -> None:
    assert right in CHANGELOG
    found = malformed(CHANGELOG.replace(right, wrong))
    assert [one for one in found if complaint in one], found


def test_what_was_unreleased_becomes_the_release() -> None:
    assert released(CUT) == {"0.2.0": TODAY, **released(CHANGELOG)}
    assert "## [Unreleased]\n\n## [0.2.0] - 2026-12-01\n\n### Added\n\n- a tap\n" in CUT
    assert problems(CUT, "0.2.0", [], "", HEAD) == []
    assert problems(CUT, "0.2.0", [], HEAD, HEAD) == [], "a release may be built again"


@pytest.mark.parametrize("version", ["0.1.1", "0.0.9", "0.2", "v0.2.0", "", "0.2.0\n"])
def test_version_that_is_none_or_not_newer_is_refused(version: str) -> None:
    with pytest.raises(ValueError, match=r"is not"):
        cut(CHANGELOG, version, TODAY)


def test_release_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no change below"):
        cut(CUT, "0.3.0", TODAY)


@pytest.mark.parametrize(
    ("changelog", "changed", "tagged", "complaint"),
    [
        (CHANGELOG, [], "", "no section [0.2.0]"),
        (CUT, ["src/jobsvc/app.py"], "", "not committed: src/jobsvc/app.py"),
        (CUT, [], "another", "v0.2.0 is the tag of another commit"),
        (
            CUT.replace("## [Unreleased]\n", "## [Unreleased]\n\n### Fixed\n\n- a leak\n"),
            [],
            "",
            "has changes below [Unreleased]",
        ),
        (CUT.replace("## [Unreleased]\n\n", ""), [], "", "the first section is not"),
    ],
)
def test_tree_that_is_no_release_is_refused(
    changelog: str, changed: list[str], tagged: str, complaint: str
) -> None:
    found = problems(changelog, "0.2.0", changed, tagged, HEAD)
    assert [one for one in found if complaint in one], found


def test_version_stands_in_one_place() -> None:
    """`make setup` installs anew when pyproject.toml changes."""
    assert installed_release() == project_version(ROOT)
    assert mentioned_versions(ROOT) == {project_version(ROOT)}


def test_bump_writes_the_version_wherever_it_stands(tmp_path: Path) -> None:
    for name in ("pyproject.toml", *MENTIONS):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    bump(tmp_path, "12.3.45", TODAY)
    assert project_version(tmp_path) == "12.3.45"
    assert mentioned_versions(tmp_path) == {"12.3.45"}
    assert next(iter(released((tmp_path / "CHANGELOG.md").read_text()))) == "12.3.45"


def test_image_is_labelled_with_the_version_that_make_gives_it() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    # An argument is known in its stage alone, and a label in all that begin with it.
    _, common, after = dockerfile.partition(" AS common\n")
    stage = after.partition("\nFROM ")[0]
    assert common
    assert "\nARG VERSION=\n" in stage
    assert "org.opencontainers.image.version=$VERSION" in stage
    assert "\nFROM common AS server\n" in after
    assert "--build-arg VERSION=$(VERSION)" in (ROOT / "Makefile").read_text()
