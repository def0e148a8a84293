"""What the command says of itself."""

import re

import pytest
from typer.testing import CliRunner

from jobsvc.cli import app

COMMANDS = sorted(
    c.callback.__name__.replace("_", "-") for c in app.registered_commands if c.callback
)


def shown(*words: str) -> str:
    result = CliRunner().invoke(app, words, env={"COLUMNS": "80", "TERM": "dumb"})
    assert result.exit_code == 0, result.output
    return re.sub(r"\s+", " ", re.sub(r"[│─╭╮╰╯]", " ", result.stdout))


def test_version_is_that_of_the_installation() -> None:
    assert re.fullmatch(r"jobsvc \d+\.\d+\.\d+\S* ", shown("--version"))
    assert shown("--version", "get") == shown("--version")


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_switches_are_shown_by_their_names_alone(command: str) -> None:
    text = shown(*command.split(), "--help")
    assert "--help Show this message" in text
    assert "<bool>" not in text
    assert "--insecure Listen beyond" in text or command != "serve"


def test_defaults_are_not_taken_for_markup() -> None:
    assert "(JOBSVC_LISTEN; by default 127.0.0.1:50051)" in shown("serve", "--help")
    assert "(by default as --concurrency)" in shown("work", "--help")
