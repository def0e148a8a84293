"""The examples in other languages, through what they promise to survive."""

import asyncio
from pathlib import Path

import pytest

from jobsvc.auth.dev_certs import make_certificates
from tests.e2e.support.caller import Caller
from tests.e2e.support.example import commands, is_built, lines, note
from tests.e2e.support.processes import Process
from tests.e2e.support.proxy import proxy
from tests.e2e.support.stage import Stage
from tests.e2e.support.tables import fetch, nothing_created
from tests.support.issuer import AUDIENCE, NAME, Issuer
from tests.support.probe import eventually

pytestmark = pytest.mark.xdist_group("e2e")

#: Long enough for leases to outlive a restart.
LEASES = {"lease_seconds": 15, "extend_interval_seconds": 1}


@pytest.fixture(params=["go", "typescript"])
def language(request: pytest.FixtureRequest) -> str:
    """The languages whose examples are built."""
    name: str = request.param
    if not is_built(name):
        pytest.skip(f"the example in {name} is not built: make examples")
    return name


async def start(stage: Stage, target: str, language: str) -> Process:
    """Starts the worker of an example, and waits until it is subscribed."""
    worker = stage.start_program(target, *commands(language)[0])
    await worker.says(20, '"subscribed"')
    return worker


async def create(caller: Caller, *seconds: float) -> list[str]:
    """Creates jobs that take so long."""
    inputs = [{"name": f"number {n}", "seconds": s} for n, s in enumerate(seconds)]
    return [await caller.create("greetings", input_) for input_ in inputs]


def begun(worker: Process, job_ids: list[str]) -> bool:
    """Whether the worker has begun all of these."""
    return set(job_ids) <= {line["job_id"] for line in lines(worker, "job begins")}


async def test_example_goes_on_where_it_was_when_the_server_is_killed(
    stage: Stage, language: str
) -> None:
    server = await stage.serve(embedded=True, **LEASES)
    worker = await start(stage, server.target, language)
    async with stage.calls(server.target) as caller:
        # Some end before the server is killed, some while it is away, some after it is back.
        job_ids = await create(caller, *(n / 2 for n in range(14)))
        theirs = stage.start_program(
            server.target, *commands(language)[1], '{"name": "Ada", "seconds": 4}'
        )
        await theirs.says(20, '"status"')
        await eventually(lambda: begun(worker, job_ids), what="all jobs begin")
        await eventually(lambda: [*lines(worker, "job settled")], what="the first end")

        server.kill()
        assert not set(job_ids) <= set(caller.ended)
        await asyncio.sleep(1.2)  # The outage: jobs end in it, whose outcomes nobody takes.
        await stage.serve(embedded=True, port=server.port, **LEASES)
        async with asyncio.timeout(40):
            await caller.follow(job_ids)
        assert await theirs.exited(30) == 0, theirs.stdout
        (end,) = lines(theirs, "completed")
        assert "Hello, Ada" in end["output"]

        note(stage.history, [worker, theirs])
        jobs = await stage.check(caller, [*job_ids, end["job_id"]], stage.embedded_dsn)
        assert {job.status.attempt for job in jobs.values()} == {1}, "a lease was lost"
        assert len(stage.history.runs()) == len(jobs), "a job ran twice"
        assert worker.exit_code is None


async def test_example_that_is_told_to_leave_ends_its_jobs_first(
    stage: Stage, language: str
) -> None:
    # Jobs that are only begun must be acknowledged: nothing else is due before they end.
    slow = {"extend_interval_seconds": 5, "acknowledge_seconds": 1.5}
    server = await stage.serve(**{**LEASES, **slow})
    worker = await start(stage, server.target, language)
    async with stage.calls(server.target) as caller:
        job_ids = await create(caller, 0, 1, 4)
        await eventually(lambda: begun(worker, job_ids), what="all jobs begin")
        worker.terminate()
        await worker.says(10, '"leaving"')
        (late,) = await create(caller, 0)
        assert await worker.exited(20) == 0, worker.stdout + worker.stderr
        await caller.follow(job_ids)
        assert not begun(worker, [late])
        other = await start(stage, server.target, language)
        await caller.follow([late])
        note(stage.history, [worker, other])
        jobs = await stage.check(caller, [*job_ids, late])
    assert not [*lines(worker, "no stream")], "the stream ended before it was left"
    assert {job.status.attempt for job in jobs.values()} == {1}
    assert len(stage.history.runs()) == 4


async def test_example_moves_on_to_another_stream_with_its_jobs(
    stage: Stage, language: str
) -> None:
    server = await stage.serve(max_worker_stream_age_seconds=2, **LEASES)
    worker = await start(stage, server.target, language)

    def streams() -> int:
        return len([*lines(worker, "subscribed")])

    async with stage.calls(server.target) as caller:
        job_ids = await create(caller, *(n / 2 for n in range(12)))
        await eventually(lambda: streams() >= 3, seconds=30, what="a third stream")
        await caller.follow(job_ids)
        before = streams()  # Idle, it has no lease to prove itself by.
        await eventually(lambda: streams() > before + 1, seconds=30, what="streams without jobs")
        note(stage.history, [worker])
        jobs = await stage.check(caller, job_ids)
    assert len([*lines(worker, "moving on")]) >= 2
    assert not [*lines(worker, "no stream")], "a stream broke"
    assert {job.status.attempt for job in jobs.values()} == {1}
    assert len(stage.history.runs()) == len(jobs)


async def test_example_that_was_frozen_stops_what_it_has_lost(stage: Stage, language: str) -> None:
    server = await stage.serve()
    worker = await start(stage, server.target, language)
    async with stage.calls(server.target) as caller:
        job_ids = await create(caller, 8)
        await eventually(lambda: begun(worker, job_ids), what="the job begins")
        worker.freeze()
        other = await start(stage, server.target, language)
        await eventually(
            lambda: begun(other, job_ids), seconds=30, what="the job is given to another worker"
        )
        worker.thaw()
        await worker.says(20, '"lease lost"')
        await caller.follow(job_ids)
        note(stage.history, [worker, other])
        jobs = await stage.check(caller, job_ids)
    assert jobs[job_ids[0]].status.attempt > 1
    assert [*lines(other, "job settled")]


async def test_example_that_never_got_its_answer_has_created_one_job(
    stage: Stage, language: str
) -> None:
    server = await stage.serve(embedded=True, **LEASES)
    async with proxy(server.port) as between, stage.calls(server.target) as caller:
        await caller.client.declare_queue("greetings")
        async with nothing_created(stage.embedded_dsn):
            theirs = stage.start_program(between.target, *commands(language)[1])
            waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            await eventually(lambda: fetch(stage.embedded_dsn, waiting), what="the creation")
            between.muted = True
        count = "SELECT FROM job"
        await eventually(lambda: fetch(stage.embedded_dsn, count), what="the commit")
        server.kill()
        between.muted = False
        back = await stage.serve(embedded=True, port=server.port, **LEASES)
        worker = await start(stage, back.target, language)
        assert await theirs.exited(30) == 0, theirs.stdout
        assert [*lines(theirs, "trying again")]
        assert len(await fetch(stage.embedded_dsn, count)) == 1
        note(stage.history, [worker, theirs])
        (end,) = lines(theirs, "completed")
        await stage.check(caller, [end["job_id"]], stage.embedded_dsn)


async def test_example_stops_a_job_that_is_cancelled(stage: Stage, language: str) -> None:
    server = await stage.serve(**LEASES)
    worker = await start(stage, server.target, language)
    async with stage.calls(server.target) as caller:
        job_ids = await create(caller, 60)
        await eventually(lambda: begun(worker, job_ids), what="the job begins")
        await caller.client.cancel(job_ids[0], "no greetings any more")
        async with asyncio.timeout(10):  # Less than the grace, after which the lease is taken away.
            await caller.follow(job_ids)
        note(stage.history, [worker])
        jobs = await stage.check(caller, job_ids)
    assert jobs[job_ids[0]].status.state == "CANCELLED"
    assert [*lines(worker, "job settled")]


async def test_example_speaks_tls_and_outlives_its_tokens(
    stage: Stage, language: str, tmp_path: Path
) -> None:
    issuer, certs = Issuer(), tmp_path / "certs"
    make_certificates(certs, [], ["client"])
    issuer.write(tmp_path / "keys.json")
    (tmp_path / "policy.toml").write_text(
        '[[rules]]\nidentity = "jwt:example"\nroles = ["jobs.worker", "jobs.creator",'
        ' "payloads.viewer"]\nqueues = ["greetings"]\n'
    )
    server = await stage.serve(
        tls_cert=certs / "server.pem",
        tls_key=certs / "server.key",
        tls_client_ca=certs / "ca.pem",
        jwt_issuer=NAME,
        jwt_audience=AUDIENCE,
        jwt_jwks=tmp_path / "keys.json",
        policy=tmp_path / "policy.toml",
        stream_after_expiry_seconds=0.5,
    )
    token = tmp_path / "token"
    shown = {
        "JOBSVC_CA": str(certs / "ca.pem"),
        "JOBSVC_CERT": str(certs / "client.pem"),
        "JOBSVC_KEY": str(certs / "client.key"),
        "JOBSVC_TOKEN_FILE": str(token),
    }

    async def renew() -> None:
        while True:
            fresh = tmp_path / "fresh"
            fresh.write_text(issuer.token("example", life=2))
            fresh.replace(token)
            await asyncio.sleep(0.5)  # As an agent does it, before the last one has ended.

    renewing = asyncio.ensure_future(renew())
    await eventually(token.exists)
    target = server.target.replace("127.0.0.1", "localhost")
    worker = stage.start_program(target, *commands(language)[0], **shown)
    await worker.says(20, '"subscribed"')
    job = '{"name": "Ada", "seconds": 6}'
    caller = stage.start_program(target, *commands(language)[1], job, **shown)
    assert await caller.exited(60) == 0, caller.stdout + caller.stderr
    renewing.cancel()
    (end,) = lines(caller, "completed")
    assert "Hello, Ada" in end["output"]
    begins = [line["job_id"] for line in lines(worker, "job begins")]
    assert begins == [end["job_id"]], "the job ran twice"
    assert len([*lines(worker, "subscribed")]) > 1, "no stream has ended with its token"
