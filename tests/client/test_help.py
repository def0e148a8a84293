"""What the command says of itself."""

import re
from itertools import chain, pairwise
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from jobsvc.cli import app


def names(group: typer.Typer) -> list[str]:
    """Returns all commands, those of groups behind the name of their group."""
    own = [
        c.name or c.callback.__name__.replace("_", "-")
        for c in group.registered_commands
        if c.callback
    ]
    for inner in group.registered_groups:
        assert inner.typer_instance is not None
        name = inner.typer_instance.info.name
        own += [f"{name}", *(f"{name} {command}" for command in names(inner.typer_instance))]
    return sorted(own)


COMMANDS = names(app)


def printed(*words: str) -> str:
    result = CliRunner().invoke(app, words, env={"COLUMNS": "80", "TERM": "dumb"})
    assert result.exit_code == 0, result.output
    return result.stdout


def shown(*words: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"[│─╭╮╰╯]", " ", printed(*words)))


def test_version_is_that_of_the_installation() -> None:
    assert re.fullmatch(r"jobsvc \d+\.\d+\.\d+\S* ", shown("--version"))
    assert shown("--version", "get") == shown("--version")


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_switches_are_shown_by_their_names_alone(command: str) -> None:
    text = shown(*command.split(), "--help")
    assert "--help Show this message" in text
    assert "<bool>" not in text
    assert "<int range>" not in text
    assert "--insecure Listen beyond" in text or command != "serve"


def test_defaults_are_not_taken_for_markup() -> None:
    assert "(JOBSVC_LISTEN; by default 127.0.0.1:50051)" in shown("serve", "--help")
    assert "(by default as --concurrency)" in shown("work", "--help")


@pytest.mark.parametrize("command", COMMANDS)
def test_paragraphs_fill_the_terminal(command: str) -> None:
    lines = [line.strip() for line in printed(*command.split(), "--help").splitlines()]
    text = lines[: next(n for n, line in enumerate(lines) if line.startswith("╭"))]
    for line, following in pairwise(text):
        if line and following:
            assert len(line) + len(following.split()[0]) > 76, (line, following)


def test_every_command_has_its_place_among_those_for_the_same_need() -> None:
    panels: dict[str, list[str]] = {}
    for line in printed("--help").splitlines():
        if heading := re.match(r"╭─ (.+?) ─", line):
            panels[heading[1]] = []
        elif command := re.match(r"│ ([a-z]\S+)  ", line):
            panels[[*panels][-1]].append(command[1])
    assert panels == {
        "Options": [],
        "Server and output": [],
        "Servers": ["serve", "health", "keys"],
        "Jobs": [
            *("create", "get", "list", "watch", "trace"),
            *("cancel", "retry", "update", "delete", "bulk"),
        ],
        "Workers and queues": ["work", "top", "workers", "queues"],
        "Database": ["migrate", "doctor", "inspect", "restore-check", "audit", "upkeep"],
        "To try and to develop": ["demo", "dev-certs", "completion", "conformance"],
    }
    assert sorted(chain.from_iterable(panels.values())) == [
        name for name in COMMANDS if " " not in name
    ]


def test_readme_names_every_command() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    line = next(line for line in readme.splitlines() if line.startswith("`jobsvc --help` lists"))
    told = re.findall(r"`([a-z-]+)`", line.partition(":")[2])
    assert sorted(told) == [name for name in COMMANDS if " " not in name]
