"""The wheel, installed beside a project that has a package `workers` of its own."""

import signal
from pathlib import Path

import pytest

from jobsvc.app import Replica
from jobsvc.client import AsyncClient
from tests.packaging.support.environment import Environment

pytestmark = pytest.mark.xdist_group("packaging")

EMAILS = """
from dataclasses import dataclass

from jobsvc.worker import Context, processor
from workers.letters import greeting
from .letters import greeting as same


@dataclass
class Email:
    to: str


@processor("emails")
async def send(email: Email, context: Context) -> dict[str, str]:
    assert greeting is same
    context.progress(50, "connecting")
    return {"text": greeting(email.to)}
"""
LETTERS = "def greeting(name): return f'Dear {name}'\n"

CALLER = """
import sys

from jobsvc.client import Client

with Client(sys.argv[1]) as client:
    job = client.create("emails", {"to": "Ada"})
    states = [update.status.state.name for update in client.follow([job.id])]
    print(states[-1], client.get(job.id).output)
"""


@pytest.fixture(params=["a package", "a plain folder"])
def own_project(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    folder = tmp_path / "workers"
    folder.mkdir()
    (folder / "emails.py").write_text(EMAILS)
    (folder / "letters.py").write_text(LETTERS)
    if request.param == "a package":
        (folder / "__init__.py").touch()
    (tmp_path / "caller.py").write_text(CALLER)
    return tmp_path


@pytest.mark.parametrize("module", ["workers.emails", "workers/emails.py"])
async def test_jobsvc_work_finds_the_workers_of_the_project(
    server: Replica, with_cli: Environment, own_project: Path, module: str
) -> None:
    target = f"127.0.0.1:{server.port}"
    arguments = ("work", module, "--target", target)
    async with with_cli.start("jobsvc", *arguments, cwd=own_project) as worker:
        assert worker.stdout is not None
        assert b" subscribed to emails " in await worker.stdout.readline()
        async with AsyncClient(target) as client:
            job = await client.wait((await client.create("emails", {"to": "Ada"})).id)
            assert job.output == {"text": "Dear Ada"}
        worker.send_signal(signal.SIGTERM)
        assert await worker.wait() == 0


async def test_bare_wheel_creates_follows_and_works_a_job(
    server: Replica, bare: Environment, own_project: Path
) -> None:
    target = f"127.0.0.1:{server.port}"
    arguments = ("-m", "jobsvc.worker", "workers.emails", "--target", target)
    async with bare.start("python", *arguments, cwd=own_project) as worker:
        assert worker.stdout is not None
        assert b" subscribed to emails " in await worker.stdout.readline()
        done = await bare.run("python", "caller.py", target, cwd=own_project)
        assert done == (0, "COMPLETED {'text': 'Dear Ada'}\n", "")


@pytest.mark.parametrize(
    ("module", "complaint"),
    [
        (
            "workers.nothing",
            "there is no module workers.nothing:"
            " the package workers is in {project}/workers and has no nothing",
        ),
        (
            "worker.emails",
            "there is no module worker.emails: nothing named worker in {project}, nor installed",
        ),
        (
            "caller.emails",
            "there is no module caller.emails: caller ({project}/caller.py) is not a package",
        ),
        (
            "workers/emails",
            "workers/emails is neither the name of a module nor the path of a .py file",
        ),
        ("workers/nothing.py", "there is no file {project}/workers/nothing.py"),
    ],
)
async def test_module_that_is_not_there_is_explained_in_one_line(
    bare: Environment, own_project: Path, module: str, complaint: str
) -> None:
    (own_project / "caller.py").write_text("")
    done = await bare.run("python", "-m", "jobsvc.worker", module, cwd=own_project)
    assert done == (78, "", f"jobsvc worker: {complaint.format(project=own_project)}\n")
