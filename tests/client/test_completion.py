"""Completion of commands: the scripts, and what they are answered."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from jobsvc.cli import app

SHELLS = ("bash", "zsh", "fish")

#: What a shell runs as `jobsvc`.
COMMAND = f"""#!{sys.executable}
from jobsvc.__main__ import main
main()
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment in which `jobsvc` is this source."""
    command = tmp_path / "jobsvc"
    command.write_text(COMMAND)
    command.chmod(0o755)
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "PYTHONPATH": os.pathsep.join(sys.path)}


def script(shell: str) -> str:
    result = CliRunner().invoke(app, ["completion", shell])
    assert result.exit_code == 0
    return result.stdout


def answers(environment: dict[str, str], **asked: str) -> list[str]:
    done = subprocess.run(
        ["jobsvc"], env={**environment, **asked}, capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize("shell", SHELLS)
def test_script_asks_by_the_variable_that_is_answered(shell: str) -> None:
    text = script(shell)
    assert f"_JOBSVC_COMPLETE=complete_{shell}" in text
    assert "%" not in text


def test_other_shell_is_refused() -> None:
    result = CliRunner().invoke(app, ["completion", "tcsh"])
    assert result.exit_code == 2
    assert "bash" in result.stderr


def test_commands_groups_and_options_are_answered(environment: dict[str, str]) -> None:
    def asked(line: str) -> list[str]:
        index = len(line.split()) - (not line.endswith(" "))
        return answers(
            environment,
            _JOBSVC_COMPLETE="complete_bash",
            COMP_WORDS=line,
            COMP_CWORD=str(index),
        )

    assert {"serve", "get", "inspect", "completion", "queues"} <= set(asked("jobsvc "))
    assert asked("jobsvc insp") == ["inspect"]
    assert asked("jobsvc queues pau") == ["pause"]
    assert "--json" in asked("jobsvc get --")
    assert asked("jobsvc completion ") == list(SHELLS)


@pytest.mark.parametrize(
    ("shell", "more"),
    [("zsh", {}), ("fish", {"_TYPER_COMPLETE_FISH_ACTION": "get-args"})],
)
def test_zsh_and_fish_are_answered(
    environment: dict[str, str], shell: str, more: dict[str, str]
) -> None:
    asked = {"_JOBSVC_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": "jobsvc insp"}
    assert "inspect" in " ".join(answers(environment, **asked, **more))


def test_unknown_setting_does_not_disturb_the_line(environment: dict[str, str]) -> None:
    asked = {"_JOBSVC_COMPLETE": "complete_bash", "COMP_WORDS": "jobsvc insp", "COMP_CWORD": "1"}
    assert answers({**environment, "JOBSVC_RETENTION": "1"}, **asked) == ["inspect"]


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
def test_bash_completes_by_the_script(environment: dict[str, str]) -> None:
    lines = (
        "source <(jobsvc completion bash); COMP_WORDS=(jobsvc queues pau); COMP_CWORD=2;"
        ' _jobsvc_completion jobsvc; echo "${COMPREPLY[@]}"; complete -p jobsvc'
    )
    done = subprocess.run(
        ["bash", "-c", lines], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.splitlines() == [
        "pause",
        "complete -o default -F _jobsvc_completion jobsvc",
    ]


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")
def test_zsh_takes_the_script(environment: dict[str, str]) -> None:
    lines = (
        "autoload -Uz compinit; compinit -u; source <(jobsvc completion zsh); echo $_comps[jobsvc]"
    )
    done = subprocess.run(
        ["zsh", "-fc", lines], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "_jobsvc_completion"


@pytest.mark.skipif(not shutil.which("fish"), reason="fish is not installed")
def test_fish_completes_by_the_script(environment: dict[str, str]) -> None:
    lines = "jobsvc completion fish | source; complete --do-complete 'jobsvc queues pau'"
    done = subprocess.run(
        ["fish", "-Nc", lines], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split()[0] == "pause"
