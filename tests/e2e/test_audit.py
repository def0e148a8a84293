"""`jobsvc audit` reads what calls left, from the database alone, after their server has ended."""

import asyncio
import json

from tests.e2e.support.command import complaint, run
from tests.e2e.support.stage import Stage
from tests.e2e.support.tables import fetch
from tests.support.probe import eventually


async def call(*words: str, target: str, user: str = "ann") -> str:
    done = await asyncio.to_thread(lambda: run(*words, JOBSVC_TARGET=target, JOBSVC_USER_ID=user))
    assert done.returncode == 0, done.stderr
    return done.stdout


async def declare(stage: Stage, target: str, name: str) -> None:
    file = stage.folder / f"{name}.json"
    file.write_text(json.dumps({"name": name}))
    await call("queues", "declare", str(file), target=target)


async def audit(dsn: str, *words: str) -> str:
    done = await asyncio.to_thread(lambda: run("audit", *words, JOBSVC_DSN=dsn, TZ="UTC"))
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


async def test_who_did_what_is_read_from_the_database(stage: Stage) -> None:
    server = await stage.serve()
    await declare(stage, server.target, "mail")
    job_id = (await call("create", "mail", "{}", target=server.target)).strip()
    await call("cancel", job_id, target=server.target)
    await call("queues", "pause", "mail", target=server.target)
    # What the last calls left is written when the server ends.
    server.terminate()
    assert await server.exited(60) == 0
    assert f"CancelJob {job_id} by somebody for user ann from ipv4:127.0.0.1: OK" in server.stderr

    lines = (await audit(stage.dsn)).splitlines()
    assert [line.split("UTC  ")[1] for line in lines[::2]] == [
        "PauseQueue mail",
        f"CancelJob {job_id}",
        "UpdateQueue mail",
    ]
    assert lines[3] == "  OK, somebody, user ann from ipv4:127.0.0.1"
    assert max(map(len, lines)) <= 80
    (one,) = map(json.loads, (await audit(stage.dsn, "--json", "--target", job_id)).splitlines())
    assert (one["method"], one["user_id"], one["outcome"]) == ("CancelJob", "ann", "OK")
    since = await audit(stage.dsn, "--since", "1h", "--method", "PauseQueue,CancelJob")
    assert len(since.splitlines()) == 4
    assert await audit(stage.dsn, "--until", "1h") == ""
    assert await audit(stage.dsn, "--identity", "shop") == ""
    assert len((await audit(stage.dsn, "--limit", "1")).splitlines()) == 2


async def test_entries_are_removed_when_their_retention_is_over(stage: Stage) -> None:
    server = await stage.serve(prune_interval_seconds=0.1, audit_retention_seconds=3600)
    for name in ("old", "new"):
        await declare(stage, server.target, name)

    async def targets() -> set[str]:
        return {row["target"] for row in await fetch(stage.dsn, _TARGETS)}

    async def both() -> bool:
        return await targets() == {"old", "new"}

    async def only_the_new() -> bool:
        return await targets() == {"new"}

    await eventually(both, seconds=30)
    age = "UPDATE jobsvc.audit_entry SET time = time - interval '61 minutes' WHERE target = 'old'"
    await fetch(stage.dsn, age)
    await eventually(only_the_new, seconds=30)


_TARGETS = "SELECT target FROM jobsvc.audit_entry"


def test_method_that_does_not_exist_is_named() -> None:
    # The database is not even asked.
    done = run("audit", "--method", "Cancel", JOBSVC_DSN="postgresql://nobody@127.0.0.1:1/x")
    assert done.returncode == 2
    assert "there is no method Cancel" in done.stderr


def test_database_without_an_audit_is_told(empty_dsn: str) -> None:
    line = complaint(run("audit", JOBSVC_DSN=empty_dsn))
    assert line == "the schema jobsvc has no audit: `jobsvc migrate` makes it"
