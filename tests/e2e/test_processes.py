"""Several processes on one port, killed, frozen and asked to leave as real processes."""

import asyncio
import json
import os
import re
import signal
import urllib.request
from contextlib import suppress

import psutil
import pytest
from grpc import aio

from jobsvc.exit_code import ExitCode
from jobsvc.extras import is_installed
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_pb2 import JobSpec
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from tests.e2e.support.caller import Caller
from tests.e2e.support.command import complaint, run
from tests.e2e.support.history import Create
from tests.e2e.support.processes import Server
from tests.e2e.support.stage import Stage
from tests.e2e.support.supervisor import Supervised
from tests.support.probe import eventually
from tests.telemetry.support.prometheus import Scrape, scrape
from tests.tracing.support.collector import grpc_collector

pytestmark = [
    pytest.mark.xdist_group("e2e"),
    pytest.mark.skipif(os.uname().sysname != "Linux", reason="several processes take Linux"),
]
scraped = pytest.mark.skipif(
    not is_installed("prometheus"), reason="the extra prometheus is not installed"
)
START_SECONDS = 120.0


def children(server: Server) -> list[psutil.Process]:
    """The processes that serve, which have begun as such."""
    found = []
    for child in psutil.Process(server.pid).children():
        with suppress(psutil.Error):
            if "--member" in child.cmdline():
                found.append(child)
    return found


def alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def serve(
    stage: Stage, environment: dict[str, str] | None = None, **settings: object
) -> Server:
    """A server of two processes, both of which serve."""
    server = stage.start_server(**{"processes": 2, **settings}, environment=environment)  # type: ignore[arg-type]
    await server.ready(START_SECONDS)
    assert len(children(server)) == 2
    return server


async def url_of(server: Server) -> str:
    await server.says(30, "/readyz served at ")
    found = re.search(r"served at (\S+)", server.stderr)
    assert found
    return found[1]


def status_of(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=30) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


async def create_on_both(server: Server, url: str, queue: str) -> int:
    """Creates jobs, each on a connection of its own, until both processes have created some: which
    process a connection gets is up to the kernel. Returns how many jobs."""
    for count in range(200):
        found = await asyncio.to_thread(scrape, url)
        if all(series_of(found, "jobsvc_jobs_created_total", process) for process in "01"):
            return count
        own_connection = [("grpc.use_local_subchannel_pool", 1)]
        async with aio.insecure_channel(server.target, options=own_connection) as channel:
            await JobServiceStub(channel).CreateJob(pb.CreateJobRequest(spec=JobSpec(queue=queue)))
    raise AssertionError("one process gets all connections")


def series_of(found: Scrape, name: str, process: str) -> float:
    """The sum of a metric over all series of a process."""
    return sum(
        value
        for series, value in found.values.items()
        if series.startswith(f"{name}{{") and f'process="{process}"' in series
    )


@scraped
async def test_jobs_flow_through_both_and_each_is_measured(stage: Stage) -> None:
    server = await serve(stage, http_listen="127.0.0.1:0")
    url = await url_of(server)
    assert (status_of(f"{url}/livez"), status_of(f"{url}/readyz")) == ((200, "ok\n"),) * 2
    await stage.work(server.target)
    async with stage.calls(server.target) as caller:
        others = await create_on_both(server, url, "nap")
        ids = [await caller.create("nap") for _ in range(20)]
        await caller.follow(ids)
        await eventually(
            lambda: sum(series_of(scrape(url), "jobsvc_jobs_ended_total", n) for n in "01"),
            lambda ended: ended == 20 + others,
            seconds=30,
        )
    found = scrape(url)
    names = [head[1].split()[2] for head in found.heads]
    assert len(names) == len(set(names))
    assert all("process" in labels for sets in found.labels.values() for labels in sets)
    uptimes = [series for series in found.values if series.startswith("process_uptime_seconds")]
    assert len(uptimes) == 2


async def test_killed_process_is_replaced_and_nothing_is_lost(stage: Stage) -> None:
    server = await serve(stage, lease_seconds=6, extend_interval_seconds=2)
    for _ in range(2):
        await stage.work(server.target, "--concurrency", "8")
    async with stage.calls(server.target) as one, stage.calls(server.target) as two:

        async def create(caller: Caller) -> list[str]:
            return [await caller.create("nap", {"seconds": 0.01}) for _ in range(100)]

        async with asyncio.TaskGroup() as tasks:
            creators = [tasks.create_task(create(caller)) for caller in (one, two) for _ in "12"]

            def made() -> int:
                return sum(isinstance(e, Create) and e.result == "ok" for e in events())

            events = stage.history.events
            await eventually(lambda: made() > 50, seconds=60, what="load")
            before = {child.pid: child for child in children(server)}
            for victim in before.values():  # one after the other
                victim.kill()
                await eventually(
                    lambda: [
                        child
                        for child in children(server)
                        if f"(pid {child.pid}) serves" in server.stderr
                    ],
                    lambda serving: len(serving) == 2,
                    seconds=START_SECONDS,
                    what=lambda: f"another process; {server.stderr[-2000:]}",
                )
        ids = [job_id for creator in creators for job_id in creator.result()]
        await one.follow(ids)
        await stage.check(one, ids)
    assert len(ids) == 400
    assert not before.keys() & {child.pid for child in children(server)}
    for index in range(2):
        assert re.search(rf"process {index} \(pid \d+\) ended after .*SIGKILL", server.stderr)
    assert server.exit_code is None


async def test_killed_parent_takes_everything_along(stage: Stage) -> None:
    server = stage.start_server(embedded=True, processes=2, http_listen="127.0.0.1:0")
    await server.ready(START_SECONDS)
    if is_installed("prometheus"):  # They know that the data are on this machine.
        found = scrape(await url_of(server))
        assert series_of(found, "jobsvc_embedded_disk_free_bytes", "1") > 0
    below = psutil.Process(server.pid).children(recursive=True)
    assert sum("postgres" in process.name() for process in below) > 2
    server.kill()
    await eventually(lambda: not any(map(alive, below)), seconds=30, what="the end of all")
    # And the port and the data are free.
    again = stage.start_server(embedded=True, processes=2, port=server.port)
    await again.ready(START_SECONDS)


async def test_all_drain_at_sigterm(stage: Stage) -> None:
    server = await serve(stage, drain_seconds=30)
    below = children(server)
    for _ in range(2):
        await stage.work(server.target)
    async with stage.calls(server.target) as caller:
        ids = [await caller.create("nap", {"seconds": 3}) for _ in range(4)]
        await eventually(lambda: len(stage.history.runs(*ids)) == 4, seconds=30, what="runs")
        server.terminate()
        assert await server.exited(60) == 0
        assert not any(map(alive, below))
    back = await serve(stage, port=server.port)
    async with stage.calls(back.target) as caller:
        await caller.follow(ids)
        jobs = await stage.check(caller, ids)
    # The workers were given the time to end what they had: nothing was run twice.
    assert {jobs[job_id].status.attempt for job_id in ids} == {1}
    for index in range(2):
        assert f"jobsvc.replica[{index}]: draining: " in server.stderr


async def test_process_that_dies_while_it_drains_is_told_and_the_other_drains(
    stage: Stage,
) -> None:
    server = await serve(stage, drain_seconds=30)
    for _ in range(2):
        await stage.work(server.target)
    async with stage.calls(server.target) as caller:
        ids = [await caller.create("nap", {"seconds": 3}) for _ in range(4)]
        await eventually(lambda: len(stage.history.runs(*ids)) == 4, seconds=30, what="runs")
        victim = children(server)[0]
        # Frozen: it must not have drained before it is killed.
        victim.send_signal(signal.SIGSTOP)
        server.terminate()
        await server.says(60, "draining: ")
        victim.kill()
        assert await server.exited(60) == 0
    assert f"(pid {victim.pid}) ended before it had drained (SIGKILL)" in server.stderr
    assert server.stderr.count("before it had drained") == 1


async def test_process_whose_loop_hangs_is_replaced(stage: Stage) -> None:
    server = await serve(stage, http_listen="127.0.0.1:0")
    victim = children(server)[0]
    victim.send_signal(signal.SIGSTOP)
    await server.says(120, f"(pid {victim.pid}) has not turned for 30 s; it is killed")
    await eventually(lambda: not alive(victim), seconds=30, what="the end of the process")
    await eventually(
        lambda: (
            all(f"(pid {child.pid}) serves" in server.stderr for child in children(server))
            and len(children(server)) == 2
        ),
        seconds=START_SECONDS,
        what="another process",
    )
    url = await url_of(server)
    ready = eventually(lambda: status_of(f"{url}/readyz"), lambda s: s[0] == 200, seconds=60)
    assert (await ready)[1] == "ok\n"


async def test_all_hear_of_a_reload_and_say_who_they_are(stage: Stage) -> None:
    file = stage.folder / "log.env"
    file.write_text("JOBSVC_LOG_LEVEL=debug\n")
    server = await serve(stage, {"JOBSVC_ENV_FILE": str(file), "JOBSVC_LOG_FORMAT": "json"})
    server.hang_up()

    def told() -> set[int | None]:
        lines = [json.loads(line) for line in server.stderr.splitlines() if line.endswith("}")]
        return {
            line.get("process")
            for line in lines
            if line["message"] == "SIGHUP: the level of the log is DEBUG"
        }

    await eventually(told, lambda found: found == {None, 0, 1}, seconds=30)


async def test_service_manager_hears_when_all_serve(stage: Stage) -> None:
    server = Supervised(
        "jobsvc.service",
        stage.folder / "unit",
        {"JOBSVC_DSN": stage.dsn, "JOBSVC_LISTEN": "127.0.0.1:0", "JOBSVC_PROCESSES": "2"},
    )
    try:
        await server.tells("READY=1", START_SECONDS)
        assert len(re.findall(r"process \d \(pid \d+\) serves", server.stderr)) == 2
        await server.tells("STATUS=2 of 2 processes serve")
        await server.tells("WATCHDOG=1")
        server.terminate()
        await server.tells("STOPPING=1")
        assert await server.exited(60) == 0
        assert "READY=1" not in server.take_heard()
    finally:
        server.kill()


async def test_instances_differ_also_where_the_environment_names_one(stage: Stage) -> None:
    with grpc_collector() as (collector, endpoint):
        await serve(
            stage,
            {
                "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": endpoint,
                "OTEL_METRIC_EXPORT_INTERVAL": "200",
                "OTEL_RESOURCE_ATTRIBUTES": "service.instance.id=left",
            },
        )
        instances = await eventually(
            lambda: {resource["service.instance.id"] for resource in collector.resources},
            lambda found: len(found) == 2,
            seconds=30,
        )
    assert instances == {"left-0", "left-1"}


@pytest.mark.parametrize("processes", ["1", "2"])
async def test_port_is_not_shared_with_another_server(stage: Stage, processes: str) -> None:
    server = await serve(stage)
    line = complaint(
        run("serve", "--processes", processes, JOBSVC_DSN=stage.dsn, JOBSVC_LISTEN=server.target),
        ExitCode.TEMPORARY,
    )
    assert line.startswith(f"cannot listen on {server.target}")


@pytest.mark.parametrize(
    ("number", "said"),
    [
        ("0", "JOBSVC_PROCESSES must be between 1 and 64, not 0"),
        ("65", "JOBSVC_PROCESSES must be between 1 and 64, not 65"),
        ("two", "JOBSVC_PROCESSES: 'two' is not a int"),
    ],
)
def test_number_of_processes_is_checked(number: str, said: str) -> None:
    assert complaint(run("serve", JOBSVC_PROCESSES=number)) == said


def test_path_is_for_one_process() -> None:
    line = complaint(run("serve", "--processes", "2", "--listen", "unix:/tmp/jobsvc-none"))
    assert line == (
        "JOBSVC_PROCESSES is 2, but JOBSVC_LISTEN is unix:/tmp/jobsvc-none: only one process can"
        " listen on a path"
    )


@pytest.mark.parametrize(
    ("dsn", "code"),
    [("mysql://h/d", ExitCode.CONFIGURATION), ("host=/none dbname=d", ExitCode.TEMPORARY)],
)
def test_exit_code_of_a_failed_start_is_that_of_one_process(dsn: str, code: ExitCode) -> None:
    done = run("serve", "--processes", "2", "--wait", "0", JOBSVC_DSN=dsn)
    assert done.stderr.count("jobsvc: ") == 1
    complaint(done, code)
