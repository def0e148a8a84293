"""From the last release to this one and back: replica by replica, on one database, under work."""

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.e2e.support import last_release
from tests.e2e.support.last_release import ROOT, LastRelease, take_last_release, todays_migrations
from tests.e2e.support.processes import PROCESSORS, Process, Server
from tests.e2e.support.stage import Stage, a_stage
from tests.e2e.support.tables import fetch
from tests.support.probe import eventually

pytestmark = [pytest.mark.xdist_group("e2e"), pytest.mark.timeout(400)]

CALLER = Path(last_release.__file__).with_name("release_caller.py")
#: Jobs that have to pass after each step.
JOBS = 5


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> LastRelease:
    """The last release."""
    return take_last_release(tmp_path_factory.mktemp("last-release"))


@pytest.fixture
async def unmigrated(empty_dsn: str) -> AsyncIterator[Stage]:
    """A stage on a database with nothing in it."""
    async with a_stage(empty_dsn) as opened:
        yield opened


@pytest.fixture
def stop(tmp_path: Path) -> Path:
    """A file that tells callers to come to an end."""
    return tmp_path / "stop"


def test_migrations_of_the_last_release_are_as_they_were(old: LastRelease) -> None:
    todays = todays_migrations()
    assert old.migrations
    assert {name: todays.get(name) for name in old.migrations} == old.migrations


async def test_replicas_are_replaced_one_by_one_and_back(
    unmigrated: Stage, old: LastRelease, stop: Path
) -> None:
    stage = unmigrated
    olds, news = [[await _serve(stage, old) for _ in range(2)], []]
    ports = [server.port for server in olds]
    both = f"ipv4:{','.join(f'127.0.0.1:{port}' for port in ports)}"
    worker = await _work(stage, both, old)
    async with _calling(stage, both, old, stop) as flows:
        # A newer client and worker on the older servers.
        newer_worker = await _work(stage, both, None)
        await flows()
        assert await _applied(stage) == sorted(old.migrations)

        # Migrating while the older ones run.
        missing = sorted(todays_migrations().keys() - old.migrations.keys())
        code, lines = await _migrate(stage, None, "--check")
        assert (code, len(lines) >= len(missing)) == (1 if missing else 0, True), lines
        applied = [f"applied {name}" for name in missing] or ["up to date"]
        assert await _migrate(stage, None) == (0, applied)
        for release in (None, old):
            assert await _migrate(stage, release, "--check") == (0, ["nothing is missing"])
        await flows()

        # Side by side, then newer ones alone; the older worker stays.
        for server, port in zip(olds, ports, strict=True):
            news.append(await _replace(stage, server, port, None))
            await flows()
        newer_worker.terminate()
        assert await newer_worker.exited(60) == 0
        await flows()

        # And back: the older release, started on the newer schema, with the newer worker alone.
        newer_worker = await _work(stage, both, None)
        worker.terminate()
        assert await worker.exited(60) == 0
        for server, port in zip(news, ports, strict=True):
            olds.append(await _replace(stage, server, port, old))
            await flows()
        worker = await _work(stage, both, old)
        newer_worker.terminate()
        assert await newer_worker.exited(60) == 0
        await flows()
    async with stage.calls(both) as caller:
        created = await fetch(stage.dsn, "SELECT id FROM jobsvc.job")
        jobs = await stage.check(caller, [str(row["id"]) for row in created])
    assert len(jobs) >= 2 * JOBS * 7
    assert {job.status.state for job in jobs.values()} == {"COMPLETED"}


@pytest.mark.parametrize("is_server_older", [True, False], ids=["older server", "newer server"])
async def test_calls_of_the_other_release_are_answered(
    stage: Stage, old: LastRelease, is_server_older: bool
) -> None:
    """On the newer schema."""
    release, other = (old, None) if is_server_older else (None, old)
    server = await _serve(stage, release)
    await _work(stage, server.target, other)
    caller = _call(stage, other, server.target, "tour")
    assert await caller.exited(90) == 0, caller.stderr
    assert caller.stdout.splitlines() == [
        f"code of {other.folder if other else ROOT}",
        "created False",
        "repeated True True",
        "waited COMPLETED Hello, Bo",
        "followed COMPLETED",
        "cancelled CANCELLED",
        "retried PENDING",
        "cancelled CANCELLED",
        "refused JobStateConflict",
        "listed 2",
        "counted 2",
    ]


async def _serve(stage: Stage, release: LastRelease | None, port: int = 0) -> Server:
    """A server of this release, or of today (None)."""
    return await stage.serve(port=port, environment=release.environment if release else {})


async def _replace(stage: Stage, server: Server, port: int, release: LastRelease | None) -> Server:
    """Lets a server drain, and starts one of another release in its place."""
    server.terminate()
    assert await server.exited(60) == 0
    return await _serve(stage, release, port)


async def _work(stage: Stage, target: str, release: LastRelease | None) -> Process:
    processors = release.processors if release else PROCESSORS
    environment = release.environment if release else {}
    return await stage.work(target, processors=processors, **environment)


def _call(stage: Stage, release: LastRelease | None, target: str, *arguments: str) -> Process:
    command = (sys.executable, str(CALLER), target, *arguments)
    return stage.start_program(target, *command, **(release.environment if release else {}))


async def _migrate(
    stage: Stage, release: LastRelease | None, *options: str
) -> tuple[int, list[str]]:
    """What `jobsvc migrate` of a release prints, and its exit code."""
    command = (sys.executable, "-m", "jobsvc", "migrate", *options)
    environment = release.environment if release else {}
    process = stage.start_program("", *command, JOBSVC_DSN=stage.dsn, **environment)
    code = await process.exited(60)
    print(process.stderr)
    return code, process.stdout.splitlines()


async def _applied(stage: Stage) -> list[str]:
    rows = await fetch(stage.dsn, "SELECT name FROM jobsvc.schema_migration ORDER BY name")
    return [row["name"] for row in rows]


class _Flow:
    """Callers of both releases, who create jobs all the time."""

    def __init__(self, callers: Iterator[Process]) -> None:
        self.callers = list(callers)

    async def __call__(self) -> None:
        """Waits until more jobs of each caller have ended, the first of them created after now."""
        before = [self._ended(caller) for caller in self.callers]

        def has_gone_on() -> bool:
            ended = [self._ended(caller) for caller in self.callers]
            return all(b + JOBS < e for b, e in zip(before, ended, strict=True))

        await eventually(has_gone_on, seconds=60, what="jobs that end")

    @staticmethod
    def _ended(caller: Process) -> int:
        assert caller.exit_code is None, caller.stderr
        return len(caller.stdout.splitlines())


@asynccontextmanager
async def _calling(stage: Stage, target: str, old: LastRelease, stop: Path) -> AsyncIterator[_Flow]:
    arguments = ("flow", str(stage.history.path), str(stop))
    flow = _Flow(_call(stage, release, target, *arguments) for release in (old, None))
    yield flow
    stop.touch()  # noqa: ASYNC240 - an empty file
    for caller in flow.callers:
        assert await caller.exited(60) == 0, caller.stderr
