"""The recipes of the security page: API keys, mutual TLS and tokens, with real processes."""

import asyncio
import json
import re
from pathlib import Path

import pytest

from jobsvc.domain.api_key import digest_of, read_key
from tests.e2e.support.command import complaint, run
from tests.e2e.support.stage import Stage
from tests.e2e.support.tables import fetch
from tests.support.issuer import AUDIENCE, NAME, Issuer
from tests.support.probe import eventually

_ALL = "jobs.creator", "payloads.viewer", "queues.admin"


def keys(dsn: str, *words: str) -> str:
    """What the command prints, which must succeed."""
    done = run("keys", *words, JOBSVC_DSN=dsn)
    assert done.returncode == 0, done.stderr
    return done.stdout


def create(dsn: str, name: str, *roles: str, queue: str = "") -> str:
    options = [word for role in roles for word in ("--role", role)]
    return keys(dsn, "create", name, *options, *(("--queue", queue) if queue else ())).strip()


async def test_key_is_shown_once_kept_as_a_digest_and_revoked(dsn: str) -> None:
    key = create(dsn, "billing", "jobs.creator", "jobs.worker", queue="mail-*")
    found = read_key(key)
    assert found is not None
    key_id, secret = found
    (kept,) = await fetch(dsn, "SELECT * FROM jobsvc.api_key")
    assert (kept["id"], kept["name"], kept["digest"]) == (key_id, "billing", digest_of(secret))
    assert secret not in str(dict(kept))
    listed = keys(dsn, "list")
    assert secret not in listed
    for word in (key_id, "billing", "jobs.creator jobs.worker", "mail-*", "usable"):
        assert word in listed
    assert keys(dsn, "revoke", key_id) == f"revoked {key_id} of billing\n"
    assert "revoked" in keys(dsn, "list")


async def test_who_made_and_revoked_a_key_is_in_the_audit(dsn: str) -> None:
    found = read_key(create(dsn, "billing", "jobs.creator"))
    assert found is not None
    key_id, secret = found
    run("keys", "revoke", "0" * 12, JOBSVC_DSN=dsn)
    keys(dsn, "revoke", key_id)
    ((role,),) = await fetch(dsn, "SELECT session_user")
    lines = run("audit", "--json", "--identity", f"database:{role}", JOBSVC_DSN=dsn).stdout
    entries = [json.loads(line) for line in lines.splitlines()]
    assert [(e["method"], e["target"], e["outcome"]) for e in entries] == [
        ("RevokeKey", key_id, "OK"),
        ("CreateKey", key_id, "OK"),
    ]
    assert {re.sub(r"^ipv[46]:.+", "address", e["peer"]) for e in entries} <= {"unix", "address"}
    assert secret not in lines
    only = run("audit", "--json", "--method", "RevokeKey", JOBSVC_DSN=dsn).stdout
    assert only == f"{lines.splitlines()[0]}\n"


@pytest.mark.parametrize(
    "words",
    [
        ("a b", "--role", "jobs.viewer"),
        ("A", "--role", "jobs.viewer"),
        ("a", "--role", "jobs.reader"),
        ("a",),
        ("a", "--role", "jobs.worker"),
        ("a", "--role", "jobs.viewer", "--queue", "q"),
        ("a", "--role", "jobs.viewer", "--days", "0"),
        ("a", "--role", "jobs.viewer", "--days", "nan"),
    ],
)
def test_key_that_could_mean_nothing_is_not_made(words: tuple[str, ...]) -> None:
    # The database is not even asked.
    assert (
        run("keys", "create", *words, JOBSVC_DSN="postgresql://nobody@127.0.0.1:1/x").returncode
        == 2
    )


def test_unknown_key_and_missing_database_are_told(dsn: str) -> None:
    unknown = run("keys", "revoke", "0" * 12, JOBSVC_DSN=dsn)
    assert (unknown.returncode, unknown.stderr) == (1, "jobsvc: there is no key 000000000000\n")
    assert complaint(run("keys", "list")).startswith("JOBSVC_DSN names no database")


async def dumped(dsn: str) -> str:
    """Every row of every table, as text."""
    names = await fetch(dsn, "SELECT tablename FROM pg_tables WHERE schemaname = 'jobsvc'")
    rows = [
        await fetch(dsn, f"SELECT t::text FROM jobsvc.{name['tablename']} AS t") for name in names
    ]
    assert any(rows)
    return str([[tuple(row) for row in table] for table in rows])


async def test_recipe_of_api_keys(stage: Stage) -> None:
    service = create(stage.dsn, "shop", *_ALL)
    worker = create(stage.dsn, "mailer", "jobs.worker", queue="*")
    server = await stage.serve(accept_api_keys=1, trace_dir=stage.folder / "spans")

    def call(*words: str, token: str = service) -> "tuple[int, str]":
        done = run(*words, JOBSVC_TARGET=server.target, JOBSVC_TOKEN=token)
        return done.returncode, done.stdout + done.stderr

    await stage.work(server.target, JOBSVC_TOKEN=worker)
    code, text = await asyncio.to_thread(call, "create", "flaky", "{}")
    assert code == 0, text
    job_id = text.split()[0]
    assert (await asyncio.to_thread(call, "watch", job_id))[0] == 0
    code, text = await asyncio.to_thread(call, "get", job_id, token=worker)
    assert (code, "ROLE_REQUIRED" in text) == (1, True)
    code, text = await asyncio.to_thread(call, "get", job_id, token="")
    assert (code, "CREDENTIALS_MISSING" in text) == (1, True)
    keys(stage.dsn, "revoke", service.split("_")[1])
    code, text = await eventually(
        lambda: asyncio.to_thread(call, "get", job_id), lambda answer: answer[0] == 1
    )
    assert "CREDENTIALS_INVALID" in text
    # What was planted is found in no log, no span and no table.
    server.terminate()
    await server.exited(30)
    planted = (service[-43:], worker[-43:], "planted-session")
    spans = "".join(path.read_text() for path in (stage.folder / "spans").iterdir())
    for secret in planted:
        assert secret not in server.stdout + server.stderr + spans + await dumped(stage.dsn)


async def test_recipe_of_mutual_tls(stage: Stage, tmp_path: Path) -> None:
    made = run("dev-certs", str(tmp_path / "certs"))
    assert made.returncode == 0, made.stderr
    certs = tmp_path / "certs"
    policy = tmp_path / "policy.toml"
    policy.write_text(
        '[[rules]]\nidentity = "spiffe://jobsvc.dev/client"\n'
        f"roles = {list(_ALL)}\n"
        '[[rules]]\nidentity = "spiffe://jobsvc.dev/worker"\n'
        'roles = ["jobs.worker"]\nqueues = ["*"]\n'
    )
    server = await stage.serve(
        tls_cert=certs / "server.pem",
        tls_key=certs / "server.key",
        tls_client_ca=certs / "ca.pem",
        policy=policy,
    )
    target = server.target.replace("127.0.0.1", "localhost")

    def shown_by(name: str) -> dict[str, str]:
        return {
            "JOBSVC_CA": str(certs / "ca.pem"),
            "JOBSVC_CERT": str(certs / f"{name}.pem"),
            "JOBSVC_KEY": str(certs / f"{name}.key"),
        }

    await stage.work(target, **shown_by("worker"))
    done = await asyncio.to_thread(
        lambda: run("create", "flaky", "{}", JOBSVC_TARGET=target, **shown_by("client"))
    )
    assert done.returncode == 0, done.stderr
    watched = await asyncio.to_thread(
        lambda: run("watch", done.stdout.split()[0], JOBSVC_TARGET=target, **shown_by("client"))
    )
    assert watched.returncode == 0, watched.stderr
    health = await asyncio.to_thread(
        lambda: run("health", JOBSVC_TARGET=target, **shown_by("client"))
    )
    assert health.stdout == "SERVING\n"
    # A renewal, as an agent in the mesh does it.
    server.hang_up()
    await eventually(lambda: "certificate and key: read anew" in server.stderr)
    await eventually(lambda: "the policy: read anew" in server.stderr)


async def test_recipe_of_tokens(stage: Stage, tmp_path: Path) -> None:
    issuer = Issuer()
    issuer.write(tmp_path / "keys.json")
    policy = tmp_path / "policy.toml"
    policy.write_text(
        f'[[rules]]\nclaim = "scope"\nvalue = "jobs"\nroles = {list(_ALL)}\n'
        '[[rules]]\nidentity = "jwt:mailer"\nroles = ["jobs.worker"]\nqueues = ["*"]\n'
    )
    server = await stage.serve(
        jwt_issuer=NAME, jwt_audience=AUDIENCE, jwt_jwks=tmp_path / "keys.json", policy=policy
    )
    token = tmp_path / "token"
    token.write_text(issuer.token("mailer"))
    await stage.work(server.target, "--token-file", str(token))
    mine = issuer.token("shop", scope="read jobs")
    done = await asyncio.to_thread(
        lambda: run("create", "flaky", "{}", JOBSVC_TARGET=server.target, JOBSVC_TOKEN=mine)
    )
    assert done.returncode == 0, done.stderr
    job_id = done.stdout.split()[0]
    watched = await asyncio.to_thread(
        lambda: run("watch", job_id, JOBSVC_TARGET=server.target, JOBSVC_TOKEN=mine)
    )
    assert watched.returncode == 0, watched.stderr
    assert mine not in server.stderr


@pytest.mark.parametrize(
    ("settings", "danger"),
    [
        ({}, "without authentication everyone who reaches it can create and work on jobs"),
        (
            {"JOBSVC_ACCEPT_API_KEYS": "1"},
            "without TLS everyone on the way can read the credentials of callers",
        ),
    ],
)
def test_server_listens_beyond_loopback_only_with_authentication_and_tls(
    settings: dict[str, str], danger: str
) -> None:
    done = run("serve", **({"JOBSVC_LISTEN": "0.0.0.0:0"} | settings))
    assert complaint(done) == (
        f"0.0.0.0 is not loopback, and {danger}: pass --insecure to listen there all the same"
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("JOBSVC_POLICY", "[[rules]]"),
        ("JOBSVC_JWT_JWKS", "{}"),
        ("JOBSVC_TLS_CERT", "no certificate"),
    ],
)
def test_file_of_no_use_is_one_line(dsn: str, tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / "file"
    path.write_text(text)
    settings = {
        "JOBSVC_POLICY": {"JOBSVC_ACCEPT_API_KEYS": "1"},
        "JOBSVC_JWT_JWKS": {"JOBSVC_JWT_ISSUER": "i", "JOBSVC_JWT_AUDIENCE": "a"},
        "JOBSVC_TLS_CERT": {"JOBSVC_TLS_KEY": str(path)},
    }[name]
    line = complaint(run("serve", JOBSVC_DSN=dsn, **{name: str(path)}, **settings))
    assert line.startswith(f"{name} {path}")


async def test_keys_of_the_embedded_database_while_its_server_runs_and_after(
    stage: Stage,
) -> None:
    server = await stage.serve(embedded=True, accept_api_keys=1)
    data = {"JOBSVC_DATA_DIR": str(stage.data_dir)}
    roles = ("--role", "jobs.creator", "--role", "queues.admin", "--role", "payloads.viewer")
    made = await asyncio.to_thread(lambda: run("keys", "create", "shop", *roles, **data))
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()
    caller = {"JOBSVC_TARGET": server.target, "JOBSVC_TOKEN": key}

    async def lists() -> int:
        done = await asyncio.to_thread(lambda: run("list", **caller))
        return done.returncode

    await eventually(lists, lambda code: code == 0, seconds=60)
    assert (
        await asyncio.to_thread(lambda: run("keys", "revoke", key.split("_")[1], **data))
    ).stdout
    await eventually(lists, lambda code: code == 1, seconds=60)
    told = await asyncio.to_thread(lambda: run("audit", **data))
    assert "CreateKey" in told.stdout, told.stderr
    assert "RevokeKey" in told.stdout
    server.terminate()
    assert await server.exited(60) == 0
    # Now the command starts the database itself.
    listed = await asyncio.to_thread(lambda: run("keys", "list", **data))
    assert "revoked" in listed.stdout, listed.stderr
    assert "CreateKey" in (await asyncio.to_thread(lambda: run("audit", **data))).stdout


def test_no_database_is_made_for_a_key(tmp_path: Path) -> None:
    for words in (("keys", "list"), ("audit",)):
        line = complaint(run(*words, JOBSVC_DATA_DIR=str(tmp_path / "none")))
        assert line.startswith("JOBSVC_DSN names no database, and there is none in")
    assert not (tmp_path / "none").exists()
