"""Secrets that are planted wherever there is room for one, and looked for wherever one may be."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from jobsvc.cli import app
from jobsvc.tracing.span_files import find_trace_ids
from tests.e2e.support.command import run
from tests.e2e.support.stage import Stage
from tests.e2e.support.tables import fetch
from tests.support.probe import eventually

_PASSWORD = "planted-password"
_KEY, _OLD_KEY = "planted-session-key", "planted-former-key"
_SESSION, _TOKEN = "planted-session", "planted-token"
PLANTED = (_PASSWORD, _KEY, _OLD_KEY, _SESSION, _TOKEN)
#: Is no secret: what is stored and told is found by the same search.
_USER = "planted-user"

_CALLER = {
    "JOBSVC_SESSION_ID": _SESSION,
    "JOBSVC_USER_ID": _USER,
    "JOBSVC_TOKEN": _TOKEN,
    "JOBSVC_LOG_LEVEL": "DEBUG",
}


def found_in(texts: Mapping[str, str]) -> list[str]:
    """Where which secret is, in some lines of text."""
    return [f"{s} in {name}: {text}" for name, text in texts.items() for s in PLANTED if s in text]


def with_password(dsn: str) -> str:
    """The same database; it asks for no password."""
    return f"{dsn}&password={_PASSWORD}"


async def dump(dsn: str) -> str:
    """Every row of every table, as text."""
    names = await fetch(dsn, "SELECT tablename FROM pg_tables WHERE schemaname = 'jobsvc'")
    tables = [await fetch(dsn, f"SELECT t::text FROM jobsvc.{name[0]} AS t") for name in names]
    # And where a database shows what it was asked.
    tables.append(await fetch(dsn, "SELECT query, application_name FROM pg_stat_activity"))
    return "\n".join(str(tuple(row)) for rows in tables for row in rows)


async def call(*words: str, **environment: str) -> str:
    """All that a command of a caller prints, whether it succeeds or not."""
    done = await asyncio.to_thread(lambda: run(*words, **(_CALLER | environment)))
    return done.stdout + done.stderr


@pytest.mark.parametrize("form", ["variables", "files"])
async def test_nothing_planted_is_found_again(stage: Stage, tmp_path: Path, form: str) -> None:
    spans = stage.folder / "spans"
    secrets = {"dsn": with_password(stage.dsn), "session_keys": f"{_KEY},{_OLD_KEY}"}
    if form == "files":
        for name, text in secrets.items():
            (tmp_path / name).write_text(text.replace(",", "\n"))
        secrets = {f"{name}_file": str(tmp_path / name) for name in secrets} | {"dsn": ""}
    server = await stage.serve(log_level="DEBUG", trace_dir=spans, **secrets)
    worker = await stage.work(server.target, JOBSVC_LOG_LEVEL="DEBUG", JOBSVC_TRACE_DIR=str(spans))

    target = {"JOBSVC_TARGET": server.target, "JOBSVC_TRACE_DIR": str(spans)}
    texts = {"create": await call("create", "flaky", "{}", **target)}
    (job_id,) = texts["create"].split()[-1:]
    texts["watch"] = await call("watch", job_id, **target)
    assert "COMPLETED" in texts["watch"]
    texts["list"] = await call("list", "--json", **target)
    assert _USER in texts["list"]
    # Refusals: of a stranger, of what no caller can be, of a request that is none.
    refused = {
        "of a stranger": {"JOBSVC_SESSION_ID": f"{_SESSION}-x", "JOBSVC_USER_ID": "x"},
        "too long": {"JOBSVC_SESSION_ID": _SESSION * 100},
        "not printable": {"JOBSVC_SESSION_ID": f"{_SESSION}\x7f"},
        "malformed token": {"JOBSVC_TOKEN": f"{_TOKEN}\n{_TOKEN}"},
        "from nowhere": {"JOBSVC_TARGET": "127.0.0.1:1", "JOBSVC_START_WAIT_SECONDS": "0"},
    }
    for name, changed in refused.items():
        texts[name] = await call("get", job_id, **(target | changed))
        assert "jobsvc" in texts[name], name
    texts["no job"] = await call("get", "none", **target)

    # A database in trouble is told with its cause.
    await fetch(stage.dsn, "ALTER TABLE jobsvc.job RENAME TO hidden")
    texts["in trouble"] = await call("create", "flaky", "{}", **target)
    await fetch(stage.dsn, "ALTER TABLE jobsvc.hidden RENAME TO job")
    await fetch(
        stage.dsn,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    await eventually(lambda: " WARNING " in server.stderr or " ERROR " in server.stderr, seconds=30)

    worker.terminate()
    await worker.exited(60)
    server.terminate()
    await server.exited(60)
    assert find_trace_ids(spans, job_id), "there are spans to search"
    assert " DEBUG jobsvc" in server.stderr
    texts |= {
        "server": server.stdout + server.stderr,
        "worker": worker.stdout + worker.stderr,
        "spans": "\n".join(path.read_text() for path in spans.iterdir()),
        "tables": await dump(stage.dsn),
    }
    assert _USER in texts["tables"], "what is stored is found"
    assert found_in(texts) == []


_UNREACHABLE = f"postgresql://u:{_PASSWORD}@127.0.0.1:1/d"


@pytest.mark.parametrize(
    "dsn",
    [
        _UNREACHABLE,
        f"postgresql://u:{_PASSWORD}@127.0.0.1:port/d",
        f"postgresql://u:{_PASSWORD}@127.0.0.1:1/d?unknown=1",
        f"postgresql://u:{_PASSWORD}@[::1/d",
        f"host=127.0.0.1 port=1 user=u password={_PASSWORD} unknown=1",
        f"host=127.0.0.1 port=1 user=u password='{_PASSWORD}",
        f"mysql://u:{_PASSWORD}@h/d",
    ],
)
@pytest.mark.parametrize("command", ["serve", "migrate", "doctor"])
def test_database_that_is_not_reached_is_told_without_its_password(command: str, dsn: str) -> None:
    environment = {"JOBSVC_START_WAIT_SECONDS": "0", "JOBSVC_LOG_LEVEL": "DEBUG"}
    done = run(command, JOBSVC_DSN=dsn, **environment)
    assert done.returncode != 0
    assert done.stderr.startswith("jobsvc: ") or " jobsvc" in done.stderr
    assert found_in({command: done.stdout + done.stderr}) == []


def test_settings_that_are_refused_are_told_without_secrets(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(_PASSWORD)
    texts = {}
    for environment in (
        {"JOBSVC_DSN": _UNREACHABLE, "JOBSVC_DSN_FILE": str(file)},
        {"JOBSVC_SESSION_KEYS": f"{_KEY},{_KEY}"},
        {"JOBSVC_SESSION_KEYS": _KEY, "JOBSVC_SESSION_KEY": _OLD_KEY},
        # A misspelt one is named, and no more than named.
        {"JOBSVC_SESION_KEY": _KEY, "JOBSVC_DSN": _UNREACHABLE, "JOBSVC_START_WAIT_SECONDS": "0"},
    ):
        done = run("serve", **environment)
        assert done.returncode != 0
        texts[" ".join(environment)] = done.stdout + done.stderr
    assert found_in(texts) == []


def test_help_shows_no_setting() -> None:
    names = [
        "",
        *sorted(c.name or c.callback.__name__ for c in app.registered_commands if c.callback),
    ]
    secrets = {
        "JOBSVC_DSN": _UNREACHABLE,
        "JOBSVC_SESSION_KEY": _KEY,
        **_CALLER,
    }
    texts = {}
    for name in names:
        done = run(*filter(None, [name.replace("_", "-"), "--help"]), **secrets)
        texts[name] = done.stdout + done.stderr
    assert "Usage" in texts[""]
    assert found_in(texts) == []
