"""Aids for testing what uses jobsvc: install `jobsvc[testing]`. docs/testing.md shows each.

    from jobsvc.testing import FakeClient, run_processor

Nothing is imported before it is used, so that the pytest plugin costs a test run nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobsvc.testing.async_fake_client import FakeAsyncClient
    from jobsvc.testing.attempts import AttemptOutcome, run_processor, run_processor_async
    from jobsvc.testing.script import Step, cancelled, completed, failed, requeued, running
    from jobsvc.testing.server import AsyncJobServer, Drained, JobServer
    from jobsvc.testing.sync_fake_client import FakeClient

#: The names of each module.
_NAMES = {
    "async_fake_client": ("FakeAsyncClient",),
    "attempts": ("AttemptOutcome", "run_processor", "run_processor_async"),
    "script": ("Step", "cancelled", "completed", "failed", "requeued", "running"),
    "server": ("AsyncJobServer", "Drained", "JobServer"),
    "sync_fake_client": ("FakeClient",),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = [
    "AsyncJobServer",
    "AttemptOutcome",
    "Drained",
    "FakeAsyncClient",
    "FakeClient",
    "JobServer",
    "Step",
    "cancelled",
    "completed",
    "failed",
    "requeued",
    "run_processor",
    "run_processor_async",
    "running",
]


def __getattr__(name: str) -> Any:
    """Imports what is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
