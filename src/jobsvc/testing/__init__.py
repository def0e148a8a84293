"""Aids for testing what uses jobsvc: install `jobsvc[testing]`. docs/testing.md shows each.

    from jobsvc.testing import FakeClient, run_processor

Nothing is imported before it is used, so that the pytest plugin costs a test run nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobsvc.testing.attempts import (
        AttemptOutcome,
        run_processor,
        run_processor_async,
    )

#: The module of each name.
_HOMES = {
    "AttemptOutcome": "attempts",
    "run_processor": "attempts",
    "run_processor_async": "attempts",
}

__all__ = ["AttemptOutcome", "run_processor", "run_processor_async"]


def __getattr__(name: str) -> Any:
    """Imports what is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
