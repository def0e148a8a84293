"""Which packages of others a module may import, over every file below src/.

import-linter keeps the layers; these tests keep the drivers at their borders, and the worker
processes of this project on the SDK. Imports inside functions and for type checkers count.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src"

#: They speak gRPC with each other.
_PEERS = ("jobsvc.api", "jobsvc.client", "jobsvc.worker", "jobsvc.conformance")
#: The modules that may import a package.
ALLOWED = {
    "asyncpg": ("jobsvc.store",),
    "grpc": (*_PEERS, "jobsvc.call_status", "jobsvc.tls", "jobsvc.v1"),
    "google.protobuf": (*_PEERS, "jobsvc.call_status", "jobsvc.v1"),
    "google.rpc": (*_PEERS, "jobsvc.call_status", "jobsvc.v1"),
    "jobsvc.v1": (*_PEERS, "jobsvc.v1"),
    # Optional: only processors with models of it need it.
    "pydantic": ("jobsvc.worker.pydantic_models",),
}
#: Imports that are allowed everywhere else, with the reason.
EXCEPTIONS = {
    "google.rpc.code_pb2": "the numbers of the status codes, which errors have in the domain too",
}
#: All that src/workers may import of jobsvc, as any user of the SDK.
SDK = "jobsvc.worker"


def _within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def imports(tree: ast.AST, module: str) -> Iterator[str]:
    """Full names of everything that a module imports; of `from a import b`, `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = module.split(".")[: -node.level] if node.level else []
            start = ".".join([*above, *filter(None, [node.module])])
            yield from (f"{start}.{alias.name}" for alias in node.names)


def _package(imported: str) -> str:
    """The key of `ALLOWED` that an import falls under; empty if it falls under none."""
    if imported.startswith("grpc_"):  # grpc_health, grpc_status, …
        return "grpc"
    return next((package for package in ALLOWED if _within(imported, package)), "")


def forbidden(text: str, module: str) -> list[str]:
    """The imports of a module that are not allowed there."""
    return [
        imported
        for imported in imports(ast.parse(text), module)
        if (package := _package(imported))
        and not any(_within(module, owner) for owner in ALLOWED[package])
        and not any(_within(imported, exception) for exception in EXCEPTIONS)
    ]


def beyond_sdk(text: str, module: str) -> list[str]:
    """The imports of a module that are of jobsvc and not of its SDK."""
    return [
        imported
        for imported in imports(ast.parse(text), module)
        if _within(imported, "jobsvc") and not _within(imported, SDK)
    ]


def _modules() -> dict[str, Path]:
    """Every module below src/ by its full name; a package counts as its `__init__`."""
    return {
        ".".join(path.relative_to(SOURCE).with_suffix("").parts): path
        for path in SOURCE.rglob("*.py")
    }


def test_drivers_are_imported_at_their_borders_only() -> None:
    modules = _modules()
    assert len(modules) > 200
    found = {
        module: names
        for module, path in modules.items()
        if (names := forbidden(path.read_text(encoding="utf-8"), module))
    }
    assert found == {}


def test_worker_processes_import_only_the_sdk() -> None:
    workers = {m: path for m, path in _modules().items() if _within(m, "workers")}
    texts = {module: path.read_text(encoding="utf-8") for module, path in workers.items()}
    assert any("jobsvc.worker" in text for text in texts.values())
    found = {module: names for module in texts if (names := beyond_sdk(texts[module], module))}
    assert found == {}


def test_every_import_beyond_the_sdk_is_seen() -> None:
    for text in (
        "import jobsvc",
        "import jobsvc.client",
        "from jobsvc import client",
        "from jobsvc.extras import NotInstalled",
        "def late():\n    from jobsvc.domain.job import Job",
        "import jobsvc.workers",
    ):
        assert len(beyond_sdk(text, "workers.any.processor")) == 1, text
    for text in (
        "from jobsvc.worker import Context",
        "from jobsvc import worker",
        "import jobsvc.worker.failure",
        "from . import web",
    ):
        assert beyond_sdk(text, "workers.any.processor") == [], text


def test_every_exception_and_every_owner_is_needed() -> None:
    everything = [
        (module, imported)
        for module, path in _modules().items()
        for imported in imports(ast.parse(path.read_text(encoding="utf-8")), module)
    ]
    for exception in EXCEPTIONS:
        outside = ALLOWED[_package(exception)]
        assert any(
            _within(imported, exception) and not any(_within(module, o) for o in outside)
            for module, imported in everything
        ), exception
    for package, owners in ALLOWED.items():
        for owner in owners:
            assert any(
                _package(imported) == package and _within(module, owner)
                for module, imported in everything
            ), (package, owner)


def test_every_form_of_import_is_seen() -> None:
    for text in (
        "import asyncpg",
        "import asyncpg.pool as p",
        "from asyncpg import Record",
        "from grpc import aio",
        "import grpc_health.v1.health",
        "from jobsvc import v1",
        "from jobsvc.v1 import job_pb2",
        "from .. import v1",
        "from ..v1.job_pb2 import Job",
        "from google.protobuf import struct_pb2",
        "from google.rpc import status_pb2",
        "def late():\n    import asyncpg",
        "if TYPE_CHECKING:\n    import asyncpg",
    ):
        assert len(forbidden(text, "jobsvc.jobs.conflicts")) == 1, text
    for text in ("from google.rpc import code_pb2", "import grpcx", "from jobsvc import store"):
        assert forbidden(text, "jobsvc.jobs.conflicts") == [], text
