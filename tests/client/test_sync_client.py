"""The blocking client is generated from the one for asyncio, and offers the same."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from jobsvc.client import AsyncClient, Client
from tools.async_to_sync import to_sync

TOOL = Path(__file__).parents[2] / "tools" / "async_to_sync.py"


def test_the_blocking_client_is_current() -> None:
    check = subprocess.run(
        [sys.executable, TOOL, "--check"], capture_output=True, text=True, timeout=60
    )
    assert check.returncode == 0, check.stderr


@pytest.mark.parametrize(
    "line", ["await asyncio.sleep(1)", "anext(updates)", "def __aiter__", "aio.Channel"]
)
def test_code_without_a_blocking_form_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="line 2: no replacement for"):
        to_sync(f'"""A module for asyncio."""\n{line}\n')


def test_both_clients_are_made_with_the_same_options() -> None:
    both = [inspect.signature(kind).parameters for kind in (AsyncClient, Client)]
    first, second = ({name: each.kind for name, each in parameters.items()} for parameters in both)
    assert first == second
    defaults = [
        {name: each.default for name, each in parameters.items() if name != "sleep"}
        for parameters in both
    ]
    assert defaults[0] == defaults[1]


def test_both_clients_have_the_same_calls() -> None:
    calls = [
        {name for name in vars(kind) if not name.startswith("_")} for kind in (AsyncClient, Client)
    ]
    assert calls[0] == calls[1]
    for name in calls[0]:
        first, second = (getattr(kind, name) for kind in (AsyncClient, Client))
        assert inspect.signature(first).parameters == inspect.signature(second).parameters
        assert second.__doc__
